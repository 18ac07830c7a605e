//! One booking: seats are reserved, and confirmed in time or given back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Done, Event, Handle, Live, Never, Outcome, StatefulActor};

use crate::ticket::PrintTicket;

/// How long seats are held without a confirmation.
pub const HOLD: Duration = Duration::from_secs(15 * 60);
/// The timer that ends a reservation.
pub const EXPIRY: &str = "expiry";

/// What happened to a booking. Only ever add to it: old events stay in the journal.
#[derive(Event)]
pub enum BookingEvent {
    Reserved { seats: u32 },
    Confirmed,
    Expired,
    TicketPrinted { file: String },
    TicketFailed { reason: String },
}

/// How far a booking is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    Free,
    Reserved,
    Confirmed,
}

/// The state: what the events add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    pub stage: Stage,
    pub seats: u32,
    /// The file of the ticket, or why there is none.
    pub ticket: Option<Result<String, String>>,
}

impl StatefulActor for Booking {
    const KIND: &'static str = "booking";
    type Event = BookingEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &BookingEvent) {
        match event {
            BookingEvent::Reserved { seats } => {
                self.stage = Stage::Reserved;
                self.seats = *seats;
            }
            BookingEvent::Confirmed => self.stage = Stage::Confirmed,
            BookingEvent::Expired => *self = Self::default(),
            BookingEvent::TicketPrinted { file } => self.ticket = Some(Ok(file.clone())),
            BookingEvent::TicketFailed { reason } => self.ticket = Some(Err(reason.clone())),
        }
    }
}

/// Why a command is refused; then nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    NoSeats,
    AlreadyReserved,
    NotReserved,
}

/// Holds seats for [`HOLD`].
#[derive(Serialize, Deserialize, Command)]
#[command(rejection = Refused)]
pub struct Reserve {
    pub seats: u32,
}

impl Handle<Reserve> for Booking {
    fn handle(booking: &mut Live<'_, Self>, Reserve { seats }: Reserve) -> Result<(), Refused> {
        if seats == 0 {
            return Err(Refused::NoSeats);
        }
        if booking.stage != Stage::Free {
            return Err(Refused::AlreadyReserved);
        }
        booking.emit(BookingEvent::Reserved { seats });
        booking.after(EXPIRY, HOLD, Expire);
        Ok(())
    }
}

/// Takes the seats that are held, and has the ticket printed.
#[derive(Serialize, Deserialize, Command)]
#[command(rejection = Refused)]
pub struct Confirm;

impl Handle<Confirm> for Booking {
    fn handle(booking: &mut Live<'_, Self>, _: Confirm) -> Result<(), Refused> {
        if booking.stage != Stage::Reserved {
            return Err(Refused::NotReserved);
        }
        booking.emit(BookingEvent::Confirmed);
        booking.cancel(EXPIRY);
        let (name, seats) = (booking.id().key().to_owned(), booking.seats);
        booking.run(PrintTicket { name, seats });
        Ok(())
    }
}

/// Sent by the timer: gives back what was not confirmed.
#[derive(Serialize, Deserialize, Command)]
pub struct Expire;

impl Handle<Expire> for Booking {
    fn handle(booking: &mut Live<'_, Self>, _: Expire) -> Result<(), Never> {
        if booking.stage == Stage::Reserved {
            booking.emit(BookingEvent::Expired);
        }
        Ok(())
    }
}

/// How the printing ended.
impl Handle<Done<PrintTicket>> for Booking {
    fn handle(booking: &mut Live<'_, Self>, done: Done<PrintTicket>) -> Result<(), Never> {
        booking.emit(match done.outcome {
            Outcome::Succeeded(file) => BookingEvent::TicketPrinted { file },
            Outcome::Failed { error, .. } => BookingEvent::TicketFailed { reason: error },
            Outcome::Unknown => BookingEvent::TicketFailed {
                reason: "nobody knows whether it was printed".to_owned(),
            },
        });
        Ok(())
    }
}

/// A query: a command that emits nothing.
#[derive(Serialize, Deserialize, Command)]
#[command(reply = Booking)]
pub struct Show;

impl Handle<Show> for Booking {
    fn handle(booking: &mut Live<'_, Self>, _: Show) -> Result<Self, Never> {
        Ok(booking.state().clone())
    }
}
