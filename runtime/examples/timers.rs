//! Timers outlive the process: one that fires once, one that repeats, one that follows the calendar. Run it
//! again: the repeating one goes on and tells what was missed meanwhile.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{error::Error, time::Duration};

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Cron, Event, Handle, KindBuilder, Live, Never, Node};

#[derive(Event)]
enum ClockEvent {
    Rang { timer: String },
}

#[derive(Serialize, Deserialize)]
struct Clock(u64);

impl steadfast::StatefulActor for Clock {
    const KIND: &'static str = "clock";
    type Event = ClockEvent;

    fn new(_: &ActorId) -> Self {
        Self(0)
    }

    fn apply(&mut self, ClockEvent::Rang { .. }: &ClockEvent) {
        self.0 += 1;
    }
}

/// Sets the timers: one of a name replaces the one before it.
#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64, rejection = String)]
struct Wind;

impl Handle<Wind> for Clock {
    fn handle(clock: &mut Live<'_, Self>, _: Wind) -> Result<u64, String> {
        let nightly = Cron::parse("30 2 * * *", "Europe/Berlin").map_err(|e| e.to_string())?;
        clock.after("tea", Duration::from_millis(300), Ring);
        if clock.0 == 0 {
            clock.every("cuckoo", Duration::from_millis(200), Ring);
            clock.cron("night", nightly, Ring);
        }
        Ok(clock.0)
    }
}

#[derive(Serialize, Deserialize, Command)]
struct Ring;

impl Handle<Ring> for Clock {
    fn handle(clock: &mut Live<'_, Self>, _: Ring) -> Result<(), Never> {
        if let Some(fired) = clock.fired().cloned() {
            println!("{} rings, {} times missed", fired.timer, fired.missed);
            clock.emit(ClockEvent::Rang { timer: fired.timer });
        }
        Ok(())
    }
}

/// Winds the clock and lets it ring so often.
async fn ring(times: u64) -> Result<(), Box<dyn Error>> {
    let node = Node::open(std::env::temp_dir().join("steadfast-timers"))
        .register::<Clock>(KindBuilder::command::<Ring>);
    let node = node.start().await?;
    let (id, mut commits) = (ActorId::new("clock", "kitchen")?, node.watch_commits());
    let rung = node.actor::<Clock>("kitchen").ask(Wind).await?;
    while node.inspect()?.actor(&id)?.seq < rung + times {
        commits.changed().await?;
    }
    Ok(node.shutdown().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    ring(2).await?;
    println!("the node was restarted");
    ring(3).await
}
