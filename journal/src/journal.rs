//! The seam between the runtime and a store: [`Storage`] opens generations, a [`Journal`] commits,
//! a [`JournalReader`] reads. The conformance suite is the contract of every implementation.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::{Entry, StoredEntry, encode_entry};
use crate::error::{CommitError, Error};
use crate::frame::EntryRef;
use crate::hash::Hash;
use crate::ids::{
    ActorId, ActorNumber, CommitIndex, EntryNumber, Epoch, HistoryId, SequenceNumber,
};

/// Small tables beside the entries, for what a restart must find at once.
///
/// Rows are opaque here and are derived from entries by their owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Pending timers, by due time.
    Timers,
    /// Effects that have no outcome yet.
    Effects,
    /// Messages on their way to other actors.
    Outbox,
}

/// A change of one row, written in the same commit as the entry that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// Where the row lives.
    pub table: Table,
    /// Its key; rows are ordered by it.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete the row.
    pub value: Option<Vec<u8>>,
}

/// One encoded entry with the row changes it brings.
#[derive(Debug)]
pub struct Append {
    /// The actor.
    pub actor: ActorNumber,
    /// The entry's number within that actor.
    pub number: EntryNumber,
    /// The encoded entry.
    pub frame: Vec<u8>,
    /// For an actor's first entry: its name and kind, to be entered in the table of actors.
    pub birth: Option<(ActorId, String)>,
    /// Row changes of the same command.
    pub rows: Vec<RowChange>,
}

impl Append {
    /// Encodes `entry` on the caller's thread.
    ///
    /// # Errors
    /// [`Error::Encode`], or [`Error::Undecodable`] if the name in `entry.birth` is no actor name.
    pub fn new(entry: &Entry, rows: Vec<RowChange>) -> Result<Self, Error> {
        let frame = encode_entry(entry)?;
        let birth = match &entry.birth {
            Some(birth) => {
                let id = birth.id.parse().map_err(|cause| Error::Undecodable {
                    what: "actor name",
                    cause: format!("{cause}"),
                })?;
                Some((id, birth.kind.clone()))
            }
            None => None,
        };
        Ok(Self {
            actor: entry.actor,
            number: entry.number,
            frame,
            birth,
            rows,
        })
    }

    /// Bytes that this append will write, roughly: what limits and budgets count.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let row = |row: &RowChange| row.key.len() + row.value.as_ref().map_or(0, Vec::len) + 16;
        self.frame.len() + 64 + self.rows.iter().map(row).sum::<usize>()
    }
}

/// Called exactly once when the outcome of a submission is known: on the writer's thread, or on the
/// caller's own where the journal is already closed.
pub type Completion = Box<dyn FnOnce(Result<CommitIndex, CommitError>) + Send>;

/// Appends that become durable together, in order, in one group commit.
pub struct Submission {
    /// The appends; the writer may join several submissions into one commit, never split one.
    pub appends: Vec<Append>,
    /// Told the outcome; must be quick and must not block.
    pub done: Completion,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("appends", &self.appends.len())
            .finish_non_exhaustive()
    }
}

/// Where the journal ends: the newest durable commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its index.
    pub index: CommitIndex,
    /// The chain's hash up to and with it.
    pub hash: Hash,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// The timeline it belongs to.
    pub history: HistoryId,
}

/// An actor as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorRow {
    /// Its name.
    pub id: ActorId,
    /// Its number.
    pub number: ActorNumber,
    /// Stable name of its kind.
    pub kind: String,
}

/// One group commit as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its place.
    pub index: CommitIndex,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// Wall clock at the commit, in microseconds since 1970.
    pub time_us: i64,
    /// The chain's hash with this commit.
    pub hash: Hash,
    /// Its entries, in order; empty for the commit that opens an epoch.
    pub entries: Vec<Entry>,
}

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// The epoch that this opening committed.
    pub epoch: Epoch,
    /// The head before that.
    pub recovered: Option<CommitIndex>,
    /// Bytes of write-ahead log that were replayed.
    pub wal_bytes: u64,
    /// Commits whose place in the hash chain was checked.
    pub verified_commits: u64,
    /// How long opening took.
    pub took: Duration,
}

/// What a full check found; a report without findings is a clean one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Commits walked.
    pub commits: u64,
    /// Entries walked.
    pub entries: u64,
    /// Events walked.
    pub events: u64,
    /// Actors seen.
    pub actors: u64,
    /// Each problem, in words that name the commit, actor or file.
    pub findings: Vec<String>,
}

/// A row of a [`Table`]: key and value.
pub type Row = (Vec<u8>, Vec<u8>);
/// Entries of one actor, in order; ends after the first error.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<StoredEntry, Error>> + Send + 'a>;
/// Told each entry with its commit; breaks to end the reading.
pub type ShowEntry<'a> = dyn FnMut(CommitIndex, &EntryRef<'_>) -> ControlFlow<()> + 'a;
/// Commits in order; ends after the first error.
pub type Commits<'a> = Box<dyn Iterator<Item = Result<Commit, Error>> + Send + 'a>;

/// Reads durable commits only. Cheap to share; never blocks the writer.
pub trait JournalReader: Send + Sync {
    /// The newest durable commit, or `None` in a journal that was never opened for writing.
    fn head(&self) -> Option<Head>;

    /// Whether commit `commit` of timeline `history` lies in the past of this journal: what a
    /// snapshot or a cursor must fulfil to count.
    fn contains(&self, history: HistoryId, commit: CommitIndex) -> bool;

    /// Looks an actor up by name.
    ///
    /// # Errors
    /// A store error.
    fn actor(&self, id: &ActorId) -> Result<Option<ActorRow>, Error>;

    /// Up to `limit` actors with names after `after`, ordered by name.
    ///
    /// # Errors
    /// A store error.
    fn actors(&self, after: Option<&ActorId>, limit: usize) -> Result<Vec<ActorRow>, Error>;

    /// Up to `limit` actors of `space` with names after `after`, ordered by name. Stores that can seek
    /// read only those; this default looks at all actors.
    ///
    /// # Errors
    /// A store error.
    fn actors_in(
        &self,
        space: &str,
        after: Option<&ActorId>,
        limit: usize,
    ) -> Result<Vec<ActorRow>, Error> {
        let (mut found, mut after) = (Vec::new(), after.cloned());
        while found.len() < limit {
            let page = self.actors(after.as_ref(), limit)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            found.extend(page.into_iter().filter(|row| row.id.space() == space));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The newest entry of an actor.
    ///
    /// # Errors
    /// A store error.
    fn last_entry(&self, actor: ActorNumber) -> Result<Option<StoredEntry>, Error>;

    /// The entries of an actor from number `from` on. A missing number is an error, never a skip.
    fn entries(&self, actor: ActorNumber, from: EntryNumber) -> Entries<'_>;

    /// As [`entries`](Self::entries), each shown where it lies instead of copied: for who reads many and keeps
    /// none. An error comes behind the entries before it. Stores that can lend their bytes do; this default copies.
    ///
    /// # Errors
    /// A store error, a missing number, bytes that do not decode.
    fn visit_entries(
        &self,
        actor: ActorNumber,
        from: EntryNumber,
        show: &mut ShowEntry<'_>,
    ) -> Result<(), Error> {
        for stored in self.entries(actor, from) {
            let stored = stored?;
            if show(stored.commit, &EntryRef::from(&stored.entry)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The entry that holds event `seq` and those after it. Starts at once: found by bisection.
    fn entries_from_event(&self, actor: ActorNumber, seq: SequenceNumber) -> Entries<'_>;

    /// All commits from `from` on. A missing index or a hash that does not fit is an error.
    fn commits(&self, from: CommitIndex) -> Commits<'_>;

    /// Up to `limit` rows of `table` with keys after `after`, ordered by key.
    ///
    /// # Errors
    /// A store error.
    fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, Error>;

    /// Walks everything: chain, entry hashes, gapless numbers, mark.
    ///
    /// # Errors
    /// Only where the walk itself cannot go on; what is found wrong is in the report.
    fn verify(&self) -> Result<VerifyReport, Error>;
}

/// One generation of a journal that is open for writing. Dropping the last reference closes it.
pub trait Journal: JournalReader {
    /// What opening found.
    fn opened(&self) -> &OpenReport;

    /// A number for a new actor, never given before and never again.
    ///
    /// # Errors
    /// [`Error::Exhausted`].
    fn next_actor_number(&self) -> Result<ActorNumber, Error>;

    /// Queues a submission for the writer. Its completion is always called: also when the journal
    /// has failed or is closed. Blocks only while the writer's bounded queue is full.
    ///
    /// The numbers of an actor's entries must follow each other, and its first entry alone carries
    /// the birth. An append that is seen to break this is refused with its whole submission
    /// ([`CommitError::NotWritten`]); not every one is seen, because the check keeps little memory.
    /// A submission without appends writes nothing and tells when all before it is durable.
    fn submit(&self, submission: Submission);

    /// Waits until all that was submitted has its outcome, flushes, syncs the mark, and ends the
    /// writer. Later submissions complete with [`CommitError::NotWritten`], later reads are
    /// [`Error::Closed`], the head stays known. Closing twice is no error.
    ///
    /// Dropping the last reference instead ends the writer too, after what is queued, but leaves
    /// the rest to the next opening.
    ///
    /// # Errors
    /// A store error; then the next opening replays instead.
    fn close(&self) -> Result<(), Error>;
}

/// Where generations of a journal come from. Holds the directory's lock between generations.
pub trait Storage: Send + Sync {
    /// Opens the next generation: verifies, commits the next epoch, starts the writer.
    /// The previous generation must have been closed.
    ///
    /// # Errors
    /// Each refusal of [`Error`]; a refusal leaves the store as it was.
    fn open(&self) -> Result<Arc<dyn Journal>, Error>;
}
