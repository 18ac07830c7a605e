//! Bookings that survive every crash.

pub mod booking;
pub mod server;
pub mod ticket;

use std::path::Path;

use steadfast::{Node, NodeBuilder};

use booking::{Booking, Expire};
use ticket::{PrintTicket, Printer};

/// A node over `dir` that knows all actors of this service. Tickets are printed into `tickets`.
pub fn node(dir: &Path, tickets: &Path) -> NodeBuilder {
    Node::open(dir)
        .resource(Printer::new(tickets))
        .register::<Booking>(|kind| kind.command::<Expire>().effect::<PrintTicket>())
}
