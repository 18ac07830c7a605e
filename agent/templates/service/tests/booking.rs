//! What a booking decides. Each `when` also checks that events survive encoding, that the decision is the
//! same when it is made again, and that the state is what its events add up to.

use new_service::booking::{
    Booking, BookingEvent, Confirm, EXPIRY, Expire, HOLD, Refused, Reserve, Show, Stage,
};
use new_service::ticket::PrintTicket;
use steadfast::Outcome;
use steadfast::testkit::given;

fn reserved() -> [BookingEvent; 1] {
    [BookingEvent::Reserved { seats: 2 }]
}

#[test]
fn a_reservation_holds_seats_for_a_while() {
    given::<Booking>([])
        .when(Reserve { seats: 2 })
        .then_events(reserved())
        .then_timer(EXPIRY, HOLD)
        .then_state(|booking| assert_eq!((booking.stage, booking.seats), (Stage::Reserved, 2)));
}

#[test]
fn what_makes_no_sense_is_refused() {
    given::<Booking>([])
        .when(Reserve { seats: 0 })
        .then_rejection(Refused::NoSeats)
        .when(Confirm)
        .then_rejection(Refused::NotReserved);
    given::<Booking>(reserved())
        .when(Reserve { seats: 1 })
        .then_rejection(Refused::AlreadyReserved);
}

#[test]
fn a_reservation_that_nobody_confirms_expires() {
    given::<Booking>([])
        .when(Reserve { seats: 2 })
        .when_timer::<Expire>(EXPIRY)
        .then_events([BookingEvent::Expired])
        .when(Show)
        .then_no_events()
        .then_reply(Booking::default());
}

#[test]
fn a_confirmation_stops_the_timer_and_prints_the_ticket() {
    given::<Booking>([])
        .when(Reserve { seats: 2 })
        .when(Confirm)
        .then_events([BookingEvent::Confirmed])
        .then_no_timer(EXPIRY)
        .then_effect(|ticket: &PrintTicket| assert_eq!(ticket.seats, 2))
        .when_done::<PrintTicket>(Outcome::Succeeded("1.txt".to_owned()))
        .then_events([BookingEvent::TicketPrinted {
            file: "1.txt".to_owned(),
        }]);
}

#[test]
fn a_ticket_that_cannot_be_printed_is_kept_as_such() {
    let error = "no paper".to_owned();
    given::<Booking>([])
        .when(Reserve { seats: 2 })
        .when(Confirm)
        .when_done::<PrintTicket>(Outcome::Failed { error, attempts: 4 })
        .then_state(|booking| assert_eq!(booking.ticket, Some(Err("no paper".to_owned()))));
}
