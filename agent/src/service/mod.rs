//! The node as a service of systemd: it says when it is ready, what it does, and that it is alive.
//!
//! Everything here does nothing where no service manager asked for it. Variables are read, never unset:
//! other threads may be reading the environment.
//!
//! * [`notify`]: the messages and the socket they go to;
//! * [`watchdog`]: when to say that the node is alive, and when not to.

mod notify;
mod watchdog;

pub(crate) use notify::{Notifier, State};
pub(crate) use watchdog::Watchdog;
