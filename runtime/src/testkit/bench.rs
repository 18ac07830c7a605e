//! The actor under test, with a journal in memory: commands run and are committed as in a node, one
//! after the other.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde::de::DeserializeOwned;
use steadfast_journal::{
    ActorId, Append, CommitIndex, Entry, EntryNumber, EventRecord, HistoryId, Journal,
    MemoryStorage, Storage, Submission,
};
use steadfast_snapshots::{Snapshot, SnapshotStore};

use super::laws::{self, Law};
use super::{START, fail};
use crate::config::Config;
use crate::core::{Ages, Clocks, KeyLimits, Operation, Staged};
use crate::host::{
    Answer, Exec, Host, KindBuilder, KindEntry, KindNames, Progress, Ran, RecoverContext, Resident,
    Source, Written, decode_operations, execute, write,
};
use crate::model::{BootId, Command, Handle, Live, StatefulActor, Timestamp, Turn};

/// What one command decided.
pub(super) struct Turned<C: Command> {
    pub(super) events: Vec<EventRecord>,
    pub(super) operations: Vec<Operation>,
    pub(super) answer: Answer<C>,
    entry: Option<Entry>,
}

pub(super) struct Bench<A> {
    pub(super) id: ActorId,
    pub(super) host: Host<A>,
    pub(super) now: Timestamp,
    kind: KindEntry,
    journal: Arc<dyn Journal>,
    snapshots: SnapshotStore,
    limits: KeyLimits,
    /// The commit of the newest entry.
    commit: Option<CommitIndex>,
    turns: u64,
}

impl<A> fmt::Debug for Bench<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("id", &self.id)
            .field("now", &self.now)
            .field("events", &self.host.core.events)
            .finish_non_exhaustive()
    }
}

impl<A: StatefulActor> Bench<A> {
    #[track_caller]
    pub(super) fn new(space: &str, key: &str) -> Self {
        let id = match ActorId::new(space, key) {
            Ok(id) => id,
            Err(error) => fail(&format!(
                "{space:?}, {key:?} is no name of an actor: {error}"
            )),
        };
        let mut kind = unwrap(KindBuilder::<A>::new().finish(), "the kind");
        kind.names = KindNames::any();
        let limits = Config::default().key_limits();
        Self {
            host: Host::fresh(&id, limits),
            id,
            now: START,
            kind,
            journal: unwrap(MemoryStorage::new().open(), "a journal in memory"),
            snapshots: SnapshotStore::in_memory(),
            limits,
            commit: None,
            turns: 0,
        }
    }

    pub(super) fn history(&self) -> HistoryId {
        self.journal
            .head()
            .map_or_else(HistoryId::draw, |head| head.history)
    }

    /// How long the node would have been running.
    pub(super) fn running(&self) -> Duration {
        self.now.since(START)
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            now: self.now,
            running: self.running(),
            boot: BootId::default(),
        }
    }

    fn exec(&self) -> Exec<'_> {
        Exec {
            id: &self.id,
            kind: &self.kind,
            registry: None,
            journal: self.journal.as_ref(),
            history: self.history(),
            now: self.now,
            running: self.running(),
            boot: BootId::default(),
            seed: self.turns,
            command_id: u128::from(self.turns),
            traceparent: None,
        }
    }

    /// Journals an event that no command decided.
    #[track_caller]
    pub(super) fn happened(&mut self, event: A::Event) {
        self.turns += 1;
        self.take_snapshot();
        let mut host = self.detach();
        let mut staged = Staged::default();
        let turn = Turn {
            id: &self.id,
            history: self.history(),
            clocks: self.exec().clocks(),
            seed: self.turns,
            fired: None,
            entry: host.core.entry.saturating_add(1),
            events_before: host.core.events,
            names: &self.kind.names,
            registry: None,
            sender: None,
        };
        Live::new(&mut host.state, &mut staged, &turn).emit(event);
        if let Some(bug) = staged.take_bug() {
            fail(&bug);
        }
        for record in &staged.events {
            laws::check_event::<A::Event>(record);
        }
        let written = write(&mut host.core, staged, None, None, &self.exec());
        self.host = host;
        self.commit(&unwrap(written, "the given event").entry);
    }

    /// Runs a command and checks the laws.
    #[track_caller]
    pub(super) fn turn<C: Command>(&mut self, command: C, source: &Source) -> Turned<C>
    where
        A: Handle<C>,
    {
        self.turns += 1;
        let again = laws::check_command(&command);
        let once_more = laws::check_command(&again);
        laws::check_state(&self.host.state);
        self.take_snapshot();
        let mut replayed = self.replayed();
        let mut restored = self.restored();
        let mut host = self.detach();
        let turned = match run(&mut host, command, source, &self.exec()) {
            Ok(turned) => turned,
            Err(reason) => fail(&format!("{:?} failed: {reason}", C::NAME)),
        };
        let exec = self.exec();
        let second = run(&mut replayed, again, source, &exec);
        laws::check_same(&turned, second, "a replay of its events");
        let third = run(&mut restored, once_more, source, &exec);
        laws::check_same(&turned, third, "a decoded copy of it");
        self.host = host;
        for record in &turned.events {
            laws::check_event::<A::Event>(record);
        }
        laws::check_state(&self.host.state);
        if let Some(entry) = &turned.entry {
            self.commit(entry);
        }
        self.check_replay();
        turned
    }

    /// Law 3.
    #[track_caller]
    pub(super) fn check_replay(&self) {
        let running = self.running();
        laws::check_equal(&self.host, &self.replayed(), running, "replayed from zero");
        let tail = recovered(self, &self.snapshots);
        laws::check_equal(&self.host, &tail, running, "snapshot plus later events");
    }

    /// Takes the actor out, so that it can change while the rest is lent.
    fn detach(&mut self) -> Host<A> {
        std::mem::replace(&mut self.host, Host::fresh(&self.id, self.limits))
    }

    /// All events from zero.
    #[track_caller]
    fn replayed(&self) -> Host<A> {
        recovered(self, &SnapshotStore::in_memory())
    }

    /// A snapshot taken and loaded now.
    #[track_caller]
    fn restored(&self) -> Host<A> {
        let bytes = unwrap(self.host.save(self.clocks()), "a snapshot");
        let running = self.running();
        let loaded = Host::<A>::load(&bytes, self.limits, running, |_, _| Duration::ZERO);
        let mut host = unwrap(loaded, "a snapshot");
        host.core.number = self.host.core.number;
        host.core.entry = self.host.core.entry;
        host.core.events = self.host.core.events;
        host
    }

    /// Stores the actor as it is now, so that what comes next is the tail behind it.
    #[track_caller]
    fn take_snapshot(&self) {
        let core = &self.host.core;
        let (Some(actor), Some(entry), Some(commit)) =
            (core.number, EntryNumber::new(core.entry), self.commit)
        else {
            return;
        };
        let snapshot = Snapshot {
            actor,
            history: self.history(),
            commit,
            entry,
            events: core.events,
            kind_version: A::STATE_VERSION,
            state: unwrap(self.host.save(self.clocks()), "a snapshot"),
        };
        unwrap(self.snapshots.put(&snapshot), "a snapshot");
    }

    #[track_caller]
    fn commit(&mut self, entry: &Entry) {
        let append = unwrap(Append::new(entry, Vec::new()), "the entry");
        let (done, is_done) = sync_channel(1);
        self.journal.submit(Submission {
            appends: vec![append],
            // The receiver waits below.
            done: Box::new(move |outcome| drop(done.send(outcome))),
        });
        let outcome = unwrap(is_done.recv(), "the journal in memory");
        self.commit = Some(unwrap(outcome, "the entry"));
    }
}

/// The actor as the runtime recovers it.
#[track_caller]
fn recovered<A: StatefulActor>(bench: &Bench<A>, snapshots: &SnapshotStore) -> Host<A> {
    let recovered = (bench.kind.recover)(&RecoverContext {
        id: &bench.id,
        journal: bench.journal.as_ref(),
        snapshots,
        limits: bench.limits,
        clocks: bench.clocks(),
        ages: Ages::all_before(bench.clocks()),
        until: None,
        progress: &Progress::default(),
    });
    let mut recovered = match recovered {
        Ok(recovered) => recovered,
        Err(error) => Law::Replay.broken(&format!(
            "the actor cannot be recovered after event {}: {}",
            error.seq, error.reason
        )),
    };
    if let Some(reason) = recovered.rejected.first() {
        Law::Replay.broken(&format!("a snapshot was passed over: {reason}"));
    }
    let host = recovered.resident.as_any_mut().downcast_mut::<Host<A>>();
    match host {
        Some(host) => std::mem::replace(host, Host::fresh(&bench.id, bench.limits)),
        None => fail("recovery gave another kind of actor"),
    }
}

/// One turn on `host`, by the runtime's own code.
fn run<A, C>(
    host: &mut Host<A>,
    command: C,
    source: &Source,
    exec: &Exec<'_>,
) -> Result<Turned<C>, String>
where
    A: Handle<C>,
    C: Command,
{
    let (ran, answer) = execute(host, command, source, None, exec);
    let unanswered = || "it was not answered".to_owned();
    match ran {
        Ran::Read { stop: _ } => Ok(Turned {
            events: Vec::new(),
            operations: Vec::new(),
            answer: answer.ok_or_else(unanswered)?,
            entry: None,
        }),
        Ran::Wrote(written) => {
            let Written { entry, .. } = *written;
            Ok(Turned {
                events: entry.events.clone(),
                operations: decode_operations(&entry.operations)
                    .map_err(|error| error.to_string())?,
                answer: answer.ok_or_else(unanswered)?,
                entry: Some(entry),
            })
        }
        Ran::Stale => Err("what it answers is no longer pending".to_owned()),
        Ran::Refused(refusal) => Err(refusal.to_string()),
        Ran::Broken { reason } => Err(reason),
    }
}

#[track_caller]
pub(super) fn decoded<T: DeserializeOwned>(bytes: &[u8], what: &str) -> T {
    unwrap(rmp_serde::from_slice(bytes), what)
}

#[track_caller]
fn unwrap<T, E: std::error::Error>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => fail(&format!("{what}: {error}")),
    }
}
