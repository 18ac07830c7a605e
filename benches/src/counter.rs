//! The smallest actor that writes: one number, one command, one event of it.

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};

/// A sum.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counter {
    total: u64,
}

/// What happens to a [`Counter`].
#[derive(Debug, Event)]
pub enum CounterEvent {
    /// The sum grew.
    Added {
        /// By this.
        amount: u64,
    },
}

/// Adds, and answers the new sum.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub struct Add {
    /// What to add.
    pub amount: u64,
}

impl StatefulActor for Counter {
    const KIND: &'static str = "counter";
    type Event = CounterEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &CounterEvent) {
        match event {
            CounterEvent::Added { amount } => self.total += amount,
        }
    }
}

impl Handle<Add> for Counter {
    fn handle(counter: &mut Live<'_, Self>, add: Add) -> Result<u64, Never> {
        counter.emit(CounterEvent::Added { amount: add.amount });
        Ok(counter.total)
    }
}
