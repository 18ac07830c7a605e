//! The actor under test: keeps notes, and does on request whatever a test needs.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, ActorRef, Command, Done, Event, Handle, Live, Never, Node, NodeBuilder, StatefulActor,
};

use crate::world::{self, HELD, Job, RECONCILED, REPEATED, UNREGISTERED};

#[derive(Event)]
#[event(prefix = "probe.")]
pub(crate) enum ProbeEvent {
    Noted { text: String },
    Poisoned,
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Probe {
    notes: Vec<String>,
}

impl StatefulActor for Probe {
    const KIND: &'static str = "probe";
    type Event = ProbeEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &ProbeEvent) {
        match event {
            ProbeEvent::Noted { text } => self.notes.push(text.clone()),
            ProbeEvent::Poisoned => panic!("a poisoned event"),
        }
    }
}

/// Writes a note; tells how many there are.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = usize)]
pub(crate) struct Note(pub(crate) String);

impl Handle<Note> for Probe {
    fn handle(probe: &mut Live<'_, Self>, Note(text): Note) -> Result<usize, Never> {
        probe.emit(ProbeEvent::Noted { text });
        Ok(probe.notes.len())
    }
}

/// Reads all notes.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = Vec<String>)]
pub(crate) struct Notes;

impl Handle<Notes> for Probe {
    fn handle(probe: &mut Live<'_, Self>, _: Notes) -> Result<Vec<String>, Never> {
        Ok(probe.notes.clone())
    }
}

/// What a timer sends: notes its text and what it is told about the firing.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Tick(pub(crate) String);

impl Handle<Tick> for Probe {
    fn handle(probe: &mut Live<'_, Self>, Tick(text): Tick) -> Result<(), Never> {
        let fired = probe
            .fired()
            .map(|fired| (fired.timer.clone(), fired.missed));
        let text = match fired {
            Some((timer, missed)) => format!("{text} from {timer}, missed {missed}"),
            None => text,
        };
        probe.emit(ProbeEvent::Noted { text });
        Ok(())
    }
}

/// Everything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Command)]
#[command(name = "do", reply = (), rejection = String)]
pub(crate) enum Do {
    Reject,
    NoteThenReject,
    Panic,
    NoteThenPanic,
    PanicInApply,
    SetUnregisteredTimer,
    RunUnregisteredEffect,
    /// A note of so many bytes.
    NoteBytes(usize),
    /// Stops at the gate with this number.
    Stand(u64),
    /// A note, and past the gate.
    NoteAndPass(String, u64),
    /// A note, and out of memory.
    NoteAndLeave(String),
    After {
        timer: String,
        delay: Duration,
        text: String,
    },
    Every {
        timer: String,
        period: Duration,
        text: String,
    },
    Cancel {
        timer: String,
    },
    /// Runs an effect with this policy and so many retries.
    Run {
        after_crash: char,
        text: String,
        retries: u32,
    },
}

impl Handle<Do> for Probe {
    fn handle(probe: &mut Live<'_, Self>, what: Do) -> Result<(), String> {
        let note = |text: &str| ProbeEvent::Noted {
            text: text.to_owned(),
        };
        match what {
            Do::Reject => return Err("no".to_owned()),
            Do::NoteThenReject => {
                probe.emit(note("then rejected"));
                return Err("too late".to_owned());
            }
            Do::Panic => panic!("as asked"),
            Do::NoteThenPanic => {
                probe.emit(note("then panicked"));
                panic!("as asked");
            }
            Do::PanicInApply => probe.emit(ProbeEvent::Poisoned),
            Do::SetUnregisteredTimer => probe.after("t", Duration::ZERO, Note("never".to_owned())),
            Do::RunUnregisteredEffect => run::<UNREGISTERED>(probe, "never", 0),
            Do::NoteBytes(bytes) => probe.emit(note(&"x".repeat(bytes))),
            Do::Stand(gate) => world::pass(gate),
            Do::NoteAndPass(text, gate) => {
                probe.emit(note(&text));
                world::pass(gate);
            }
            Do::NoteAndLeave(text) => {
                probe.emit(note(&text));
                probe.stop();
            }
            Do::After { timer, delay, text } => probe.after(&timer, delay, Tick(text)),
            Do::Every {
                timer,
                period,
                text,
            } => probe.every(&timer, period, Tick(text)),
            Do::Cancel { timer } => probe.cancel(&timer),
            Do::Run {
                after_crash: REPEATED,
                text,
                retries,
            } => run::<REPEATED>(probe, &text, retries),
            Do::Run {
                after_crash: RECONCILED,
                text,
                retries,
            } => run::<RECONCILED>(probe, &text, retries),
            Do::Run { text, retries, .. } => run::<HELD>(probe, &text, retries),
        }
        Ok(())
    }
}

fn run<const AFTER_CRASH: char>(probe: &mut Live<'_, Probe>, text: &str, retries: u32) {
    let text = text.to_owned();
    probe.run(Job::<AFTER_CRASH> { text, retries });
}

impl<const AFTER_CRASH: char> Handle<Done<Job<AFTER_CRASH>>> for Probe {
    fn handle(probe: &mut Live<'_, Self>, done: Done<Job<AFTER_CRASH>>) -> Result<(), Never> {
        let text = format!("{}: {:?}", done.effect.text, done.outcome);
        probe.emit(ProbeEvent::Noted { text });
        Ok(())
    }
}

/// Registers the probe, with one worker, so that order is what a test makes it.
pub(crate) fn with_probe(builder: NodeBuilder) -> NodeBuilder {
    let builder = builder.config(|config| config.workers = NonZeroUsize::MIN);
    builder.register::<Probe>(|kind| {
        let kind = kind.command::<Tick>().command::<Do>();
        kind.effect::<Job<REPEATED>>()
            .effect::<Job<RECONCILED>>()
            .effect::<Job<HELD>>()
    })
}

/// A node over `storage` that runs the probe.
pub(crate) async fn start(storage: &MemoryStorage) -> Node {
    start_with(storage, |builder| builder).await
}

pub(crate) async fn start_with(
    storage: &MemoryStorage,
    change: impl FnOnce(NodeBuilder) -> NodeBuilder,
) -> Node {
    let builder = with_probe(NodeBuilder::from(storage.clone()));
    change(builder).start().await.unwrap()
}

pub(crate) fn note(text: &str) -> Note {
    Note(text.to_owned())
}

pub(crate) async fn notes(probe: &ActorRef<Probe>) -> Vec<String> {
    probe.ask(Notes).await.unwrap()
}
