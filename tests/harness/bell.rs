//! An actor whose timers are counted, and told apart where one fires early.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor, Timer, Timestamp};

/// Counts how often each of its timers fired.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bell {
    pub(crate) fired: Vec<u8>,
    pub(crate) early: u64,
}

#[derive(Event)]
#[event(prefix = "bell.")]
pub(crate) enum BellEvent {
    Rang { number: usize, early: bool },
}

impl StatefulActor for Bell {
    const KIND: &'static str = "bell";
    type Event = BellEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, BellEvent::Rang { number, early }: &BellEvent) {
        if self.fired.len() <= *number {
            self.fired.resize(number + 1, 0);
        }
        self.fired[*number] += 1;
        self.early += u64::from(*early);
    }
}

/// A timer's command: which one it is, and by which clock it must not be early.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Ring {
    number: usize,
    /// For one that follows the wall clock.
    due: Option<Timestamp>,
}

impl Handle<Ring> for Bell {
    fn handle(bell: &mut Live<'_, Self>, Ring { number, due }: Ring) -> Result<(), Never> {
        // One that follows the boot clock shows in the sums if it is early.
        let early = due.is_some_and(|due| bell.now() < due);
        bell.emit(BellEvent::Rang { number, early });
        Ok(())
    }
}

/// Sets timers: number, seconds until it is due, and when that is for one that follows the wall clock.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Set(pub(crate) Vec<(usize, u64, Option<Timestamp>)>);

impl Handle<Set> for Bell {
    fn handle(bell: &mut Live<'_, Self>, Set(timers): Set) -> Result<(), Never> {
        for (number, wait, due) in timers {
            let timer = due.map_or_else(|| Timer::after(Duration::from_secs(wait)), Timer::at);
            bell.schedule(&number.to_string(), timer, Ring { number, due });
        }
        Ok(())
    }
}

/// How many of its timers fired once, how many more often, how many early.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = (u64, u64, u64))]
pub(crate) struct Count;

impl Handle<Count> for Bell {
    fn handle(bell: &mut Live<'_, Self>, _: Count) -> Result<(u64, u64, u64), Never> {
        let of = |wanted: fn(&u8) -> bool| bell.fired.iter().filter(|n| wanted(n)).count() as u64;
        Ok((of(|n| *n == 1), of(|n| *n > 1), bell.early))
    }
}
