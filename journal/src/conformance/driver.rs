//! Drives a journal as the runtime would: numbers entries, waits for commits, reopens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use serde_bytes::ByteBuf;

use crate::entry::{Birth, CommandStamp, Entry, EventRecord};
use crate::error::{CommitError, Error};
use crate::ids::{ActorId, ActorNumber, CommitIndex, EntryNumber};
use crate::journal::{Append, Journal, JournalReader, RowChange, Storage, Submission, Table};

/// A storage with one open journal, and what was written to it.
pub struct Driver {
    storage: Box<dyn Storage>,
    journal: Option<Arc<dyn Journal>>,
    actors: BTreeMap<String, (ActorNumber, Vec<Entry>)>,
}

/// Stands in where there is no storage.
struct Nowhere;

impl Storage for Nowhere {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        Err(Error::Closed)
    }
}

/// The outcome of a submission, once it is known.
pub(crate) type Outcome = Receiver<Result<CommitIndex, CommitError>>;

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("actors", &self.actors.len())
            .finish_non_exhaustive()
    }
}

impl Driver {
    /// Opens the first generation of `storage`.
    #[must_use]
    pub fn new(storage: Box<dyn Storage>) -> Self {
        let journal = storage.open().expect("an empty storage opens");
        Self {
            storage,
            journal: Some(journal),
            actors: BTreeMap::new(),
        }
    }

    /// The open journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        self.journal.as_ref().expect("it is open")
    }

    /// Closes the journal and opens the next generation.
    pub fn reopen(&mut self) {
        self.journal().close().expect("it closes");
        self.open_again();
    }

    /// Drops the journal without closing it, and opens the next generation.
    pub fn drop_and_reopen(&mut self) {
        self.open_again();
    }

    /// Lets go of the storage as a crash would, and keeps only what was written.
    #[must_use]
    pub fn leave(mut self) -> Self {
        self.journal = None;
        self.storage = Box::new(Nowhere);
        self
    }

    /// Goes on with a storage that holds what was written.
    #[must_use]
    pub fn resume(mut self, storage: Box<dyn Storage>) -> Self {
        self.journal = None;
        self.storage = storage;
        self.open_again();
        self
    }

    fn open_again(&mut self) {
        self.journal = None;
        self.journal = Some(self.storage.open().expect("it opens again"));
    }

    /// The next entry of the actor with this name, with `events` events; remembered as written.
    pub fn entry(&mut self, name: &str, events: usize) -> Entry {
        let journal = Arc::clone(self.journal());
        let (number, entries) = self.actors.entry(name.to_owned()).or_insert_with(|| {
            (
                journal.next_actor_number().expect("there are numbers"),
                Vec::new(),
            )
        });
        let last = entries.last();
        let entry = sample(name, *number, last, events);
        entries.push(entry.clone());
        entry
    }

    /// Forgets the newest entry of an actor, which turned out not to be written.
    pub fn forget(&mut self, name: &str) {
        if let Some((_, entries)) = self.actors.get_mut(name) {
            entries.pop();
        }
    }

    /// Notes an entry that was changed after it was made.
    pub fn remember(&mut self, name: &str, entry: &Entry) {
        if let Some((_, entries)) = self.actors.get_mut(name) {
            entries.push(entry.clone());
        }
    }

    /// Writes one entry and waits until it is durable.
    pub fn write(&mut self, name: &str, events: usize) -> CommitIndex {
        let entry = self.entry(name, events);
        let append = Append::new(&entry, Vec::new()).expect("it encodes");
        self.submit(vec![append]).expect("it is written")
    }

    /// Submits and waits.
    ///
    /// # Errors
    /// What the completion was told.
    pub fn submit(&self, appends: Vec<Append>) -> Result<CommitIndex, CommitError> {
        self.start(appends)
            .recv()
            .expect("the completion is called")
    }

    /// Submits without waiting.
    pub(crate) fn start(&self, appends: Vec<Append>) -> Outcome {
        start(&**self.journal(), appends)
    }

    /// The number of an actor that has entries.
    #[must_use]
    pub fn number(&self, name: &str) -> ActorNumber {
        self.actors.get(name).expect("the actor has entries").0
    }

    /// What was written of an actor.
    #[must_use]
    pub fn written(&self, name: &str) -> &[Entry] {
        self.actors
            .get(name)
            .map_or(&[], |(_, entries)| entries.as_slice())
    }

    /// Compares all that was written with what is read, and verifies the whole journal.
    #[track_caller]
    pub fn check(&self) {
        check_reader(&**self.journal(), &self.actors);
    }

    /// As [`Driver::check`], for any reader of the same journal.
    #[track_caller]
    pub fn check_with(&self, reader: &dyn JournalReader) {
        check_reader(reader, &self.actors);
    }
}

#[track_caller]
fn check_reader(reader: &dyn JournalReader, actors: &BTreeMap<String, (ActorNumber, Vec<Entry>)>) {
    let (mut entries, mut events) = (0, 0);
    for (name, (number, written)) in actors
        .iter()
        .filter(|(_, (_, written))| !written.is_empty())
    {
        let read: Vec<Entry> = reader
            .entries(*number, EntryNumber::FIRST)
            .map(|stored| stored.expect("it reads").entry)
            .collect();
        assert_eq!(&read, written, "entries of {name}");
        let row = reader
            .actor(&id(name))
            .expect("it reads")
            .expect("it is known");
        assert_eq!((row.number, row.id), (*number, id(name)));
        entries += read.len() as u64;
        events += read
            .iter()
            .map(|entry| entry.events.len() as u64)
            .sum::<u64>();
    }
    let report = reader.verify().expect("it can be walked");
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.entries, report.events), (entries, events));
    assert_eq!(
        report.commits,
        reader.head().map_or(0, |head| head.index.get())
    );
}

/// Submits to `journal` without waiting.
pub(crate) fn start(journal: &dyn Journal, appends: Vec<Append>) -> Outcome {
    let (told, outcome) = channel();
    journal.submit(Submission {
        appends,
        done: Box::new(move |result| {
            // The receiver may be gone where a check does not care.
            drop(told.send(result));
        }),
    });
    outcome
}

/// The actor name for a short name.
pub(crate) fn id(name: &str) -> ActorId {
    ActorId::new("test", name).expect("a short name is a key")
}

/// The entry that follows `last`.
pub(crate) fn sample(name: &str, actor: ActorNumber, last: Option<&Entry>, events: usize) -> Entry {
    let number = EntryNumber::after(last.map(|entry| entry.number)).expect("there are numbers");
    let event = |n: usize| EventRecord {
        name: "happened".into(),
        version: 1,
        data: ByteBuf::from(format!("{name} {number} {n}")),
    };
    let birth = Birth {
        id: id(name).to_string(),
        kind: "test".to_owned(),
    };
    Entry {
        actor,
        number,
        events_before: last.map_or(0, Entry::events_after),
        birth: last.is_none().then_some(birth),
        time_us: 1_700_000_000_000_000,
        seed: number.get(),
        command: Some(CommandStamp {
            name: "do".into(),
            id: 7,
            key: None,
        }),
        events: (0..events).map(event).collect(),
        operations: ByteBuf::new(),
        cause: None,
        traceparent: None,
    }
}

/// A row of the outbox that is set, or deleted for `None`.
pub(crate) fn row(key: &str, value: Option<&str>) -> RowChange {
    RowChange {
        table: Table::Outbox,
        key: key.as_bytes().to_vec(),
        value: value.map(|value| value.as_bytes().to_vec()),
    }
}
