//! The full check: the chain from its start, every entry, the table of actors, the mark.
//!
//! A file of its own because it goes on for long beside a node that writes: it holds what it finds to the head as it
//! was when it began, and looks at the store afresh for each piece, so that it neither keeps files nor delays a close.

use crate::chain::{Stop, Walk};
use crate::committer::HeadCell;
use crate::entry::{Entry, decode_entry};
use crate::error::Error;
use crate::hash::Hash;
use crate::ids::{ActorNumber, CommitIndex, EntryNumber};
use crate::journal::{ActorRow, Head, VerifyReport};
use crate::layout::{
    ACTOR_NAMES, ACTOR_NUMBERS, Past, actor_name_key, actor_number_key, actor_of_number_key,
    actor_of_row, commit_key, commit_of_key, entry_of_key,
};
use crate::mark::{self, Found};
use crate::reads::{CHUNK_BYTES, VISIT_ROWS, load_head, scan_chunk, successor};
use crate::record::{CommitRecord, Listed};
use crate::store::{Keyspace, Slot, Span, Store};

use super::{MarkSource, check_mark, some_commits};

/// More findings than this are counted, not kept.
const MAX_FINDINGS: usize = 1000;

/// What a full check looks at.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) slot: &'a Slot,
    /// Moves on while the check goes on.
    pub(crate) head: &'a HeadCell,
    pub(crate) past: Option<&'a Past>,
    pub(crate) mark: &'a MarkSource,
}

/// Walks everything up to the head as it is now.
pub(crate) fn verify(subject: Subject<'_>) -> Result<VerifyReport, Error> {
    // First of all: what is listed up to it is in the index, and its actors are in their table.
    let head = subject.head.get();
    let mut check = Check {
        subject,
        head,
        upto: head.map_or(0, |head| head.index.get()),
        beyond: None,
        seen: Numbers::default(),
        report: VerifyReport::default(),
        dropped: 0,
    };
    let listed = check.commits()?;
    let indexed = check.entries()?;
    check.actors()?;
    if let (Some(listed), Some(indexed)) = (listed, indexed) {
        check.expect(listed == indexed, || {
            format!(
                "the index has {} entries and the commits {}, or they are not the same: stop the node, \
                 delete the folder `index` of its data directory, and start it: it builds the index anew",
                indexed.count, listed.count
            )
        });
    }
    check.beyond()?;
    check.mark()?;
    if check.dropped > 0 {
        check
            .report
            .findings
            .push(format!("and {} more findings", check.dropped));
    }
    Ok(check.report)
}

/// A full check in progress.
struct Check<'a> {
    subject: Subject<'a>,
    /// The head up to which it checks; what is committed meanwhile is left out.
    head: Option<Head>,
    /// Its index; 0 where there is none.
    upto: u64,
    /// The newest commit behind it that the index has an entry of.
    beyond: Option<CommitIndex>,
    /// The actors that have entries up to the head.
    seen: Numbers,
    report: VerifyReport,
    /// Findings over the limit.
    dropped: u64,
}

/// Entries counted and summed up, so that two walks in different orders can be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hashes: u128,
}

impl Sum {
    fn add(
        &mut self,
        commit: CommitIndex,
        (actor, number): (ActorNumber, EntryNumber),
        frame: &[u8],
    ) {
        self.count += 1;
        let hash = Hash::of(frame);
        let named = [
            &commit.get().to_be_bytes()[..],
            &actor.get().to_be_bytes(),
            &number.get().to_be_bytes(),
            hash.as_bytes(),
        ];
        let digest = Hash::of(&named.concat());
        let half = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        self.hashes = self.hashes.wrapping_add(u128::from_be_bytes(half));
    }
}

/// Where the walk over the entries is.
#[derive(Default)]
struct Position {
    actor: Option<ActorNumber>,
    number: Option<EntryNumber>,
    events: u64,
}

/// Numbers of actors that came in order, as stretches without a gap: there are few of them.
#[derive(Debug, Default)]
struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    fn push(&mut self, actor: ActorNumber) {
        let number = actor.get();
        match self.0.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            Some(_) | None => self.0.push((number, number)),
        }
    }

    fn has(&self, actor: ActorNumber) -> bool {
        let number = actor.get();
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }
}

/// Whether an error tells of the data rather than of the reading.
const fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Store { corrupt: true, .. } | Error::Undecodable { .. }
    )
}

impl Check<'_> {
    fn found(&mut self, finding: String) {
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(finding);
        } else {
            self.dropped += 1;
        }
    }

    /// Damage is a finding; anything else ends the check.
    fn damage(&mut self, what: &str, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if is_damage(&error) => {
                self.found(format!("reading {what} ended early: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The chain from its start. Which entries it lists, if it holds.
    fn commits(&mut self) -> Result<Option<Sum>, Error> {
        let mut listed = Sum::default();
        let (Some(past), Some(head)) = (self.subject.past, self.head) else {
            return Ok(Some(listed));
        };
        let mut walk = Walk::from_start(past);
        let end = head.index.next().map(commit_key);
        let mut more = true;
        while more {
            let store = self.subject.slot.store()?;
            let walked = some_commits(
                &*store,
                &mut walk,
                end.as_ref().map(<[u8; 8]>::as_slice),
                &mut self.report.commits,
                &mut |commit, entry, frame| {
                    listed.add(commit, (entry.actor, entry.number), frame);
                    Ok(())
                },
            );
            more = match walked {
                Ok(more) => more,
                Err(Stop::Broken(found)) => {
                    self.found(format!("the chain of commits is broken: {}", found.what));
                    return Ok(None);
                }
                Err(Stop::Failed(error)) => {
                    return self.damage("commits", Err(error)).map(|()| None);
                }
            };
        }
        let ends = walk.next() == head.index.next();
        self.expect(ends, || {
            let next = walk.next().map_or(0, CommitIndex::get);
            format!("commits {next} to {} are missing", head.index)
        });
        Ok(ends.then_some(listed))
    }

    /// Numbers and events of every actor without gaps, and each actor known by its name.
    fn entries(&mut self) -> Result<Option<Sum>, Error> {
        let slot = self.subject.slot;
        let (mut at, mut sum) = (Position::default(), Sum::default());
        let mut walk = slot.index()?.everything();
        let mut more = true;
        while more {
            let (store, index) = slot.both()?;
            let limits = (VISIT_ROWS, CHUNK_BYTES);
            let walked = index.each(&mut walk, limits, &mut |key, commit, frame| {
                if commit.get() > self.upto {
                    self.beyond = self.beyond.max(Some(commit));
                    return Ok(());
                }
                let (actor, number) = entry_of_key(key)?;
                sum.add(commit, (actor, number), frame);
                self.entry(&*store, &mut at, actor, number, decode_entry(frame))
            });
            more = match walked {
                Ok(more) => more,
                Err(error) => return self.damage("entries", Err(error)).map(|()| None),
            };
        }
        Ok(Some(sum))
    }

    fn entry(
        &mut self,
        store: &dyn Store,
        at: &mut Position,
        actor: ActorNumber,
        number: EntryNumber,
        entry: Result<Entry, Error>,
    ) -> Result<(), Error> {
        self.report.entries += 1;
        if at.actor != Some(actor) {
            *at = Position {
                actor: Some(actor),
                number: None,
                events: 0,
            };
            self.report.actors += 1;
            self.seen.push(actor);
        }
        let name = || format!("entry {number} of actor number {actor}");
        self.expect(EntryNumber::after(at.number) == Some(number), || {
            let before = at.number.map_or(0, EntryNumber::get);
            format!(
                "{} follows number {before}: entries are missing between",
                name()
            )
        });
        at.number = Some(number);
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                self.found(format!("{}: {error}", name()));
                return Ok(());
            }
        };
        self.report.events += entry.events.len() as u64;
        self.expect((entry.actor, entry.number) == (actor, number), || {
            format!(
                "{} says that it is entry {} of {}",
                name(),
                entry.number,
                entry.actor
            )
        });
        self.expect(entry.events_before == at.events, || {
            format!(
                "{} counts {} events before it, not {}",
                name(),
                entry.events_before,
                at.events
            )
        });
        at.events = entry.events_after();
        self.birth(store, &entry, &name())
    }

    fn birth(&mut self, store: &dyn Store, entry: &Entry, name: &str) -> Result<(), Error> {
        let first = entry.number == EntryNumber::FIRST;
        self.expect(first == entry.birth.is_some(), || {
            format!(
                "{name} {} its actor",
                if first { "does not name" } else { "names" }
            )
        });
        let Some(birth) = &entry.birth else {
            return Ok(());
        };
        let Ok(id) = birth.id.parse() else {
            self.found(format!(
                "{name} names its actor {:?}, which is no actor name",
                birth.id
            ));
            return Ok(());
        };
        let key = actor_name_key(&id);
        let row = store.get(Keyspace::Actors, &key)?;
        let row = row.map(|value| actor_of_row(&key, &value)).transpose()?;
        let expected = ActorRow {
            id,
            number: entry.actor,
            kind: birth.kind.clone(),
        };
        self.expect(row.as_ref() == Some(&expected), || {
            format!(
                "the table of actors does not have {} as {name} says",
                expected.id
            )
        });
        let back = store.get(Keyspace::Actors, &actor_number_key(entry.actor))?;
        self.expect(
            back.as_deref() == Some(expected.id.as_str().as_bytes()),
            || {
                format!(
                    "the table of actors has another name for number {}",
                    entry.actor
                )
            },
        );
        Ok(())
    }

    /// Each row of the actors has entries: together with the births, both agree.
    fn actors(&mut self) -> Result<(), Error> {
        let names = self.rows_of_actors(ACTOR_NAMES, |key, value| {
            actor_of_row(key, value).map(|row| row.number)
        })?;
        let numbers = self.rows_of_actors(ACTOR_NUMBERS, |key, _| actor_of_number_key(key))?;
        let actors = self.report.actors;
        self.expect((names, numbers) == (actors, actors), || {
            format!(
                "the table of actors has {names} names and {numbers} numbers, but {actors} actors \
                 have entries"
            )
        });
        Ok(())
    }

    /// How many rows there are of actors that were not born meanwhile.
    fn rows_of_actors(
        &mut self,
        (first, end): (&[u8], &[u8]),
        number_of: impl Fn(&[u8], &[u8]) -> Result<ActorNumber, Error>,
    ) -> Result<u64, Error> {
        let (mut from, mut rows, mut more) = (first.to_vec(), 0, true);
        while more {
            let store = self.subject.slot.store()?;
            let start = from.clone();
            let span = Span {
                from: &start,
                to: Some(end),
            };
            let mut others = Vec::new();
            let walked = scan_chunk(&*store, Keyspace::Actors, span, &mut |key, value| {
                from = successor(key);
                rows += 1;
                let actor = number_of(key, value)?;
                if !self.seen.has(actor) {
                    others.push(actor);
                }
                Ok(())
            });
            for actor in others {
                rows -= u64::from(self.is_born_meanwhile(&*store, actor)?);
            }
            more = match walked {
                Ok(more) => more,
                Err(error) => {
                    return self
                        .damage("the table of actors", Err(error))
                        .map(|()| rows);
                }
            };
        }
        Ok(rows)
    }

    /// Whether an actor that has a row, and no entry up to the head, has its first one behind it.
    fn is_born_meanwhile(&self, store: &dyn Store, actor: ActorNumber) -> Result<bool, Error> {
        // Before the look into the index, which each commit reaches before the head does.
        let shown = self.subject.head.get().map(|head| head.index);
        let index = self.subject.slot.index()?;
        match index.entry(actor, EntryNumber::FIRST, |commit, _| Ok(commit)) {
            Ok(commit) => return Ok(commit.get() > self.upto),
            Err(Error::MissingEntry { .. }) => {}
            Err(error) if is_damage(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        // The one commit that may be durable, and on its way into the index.
        let next = CommitIndex::after(shown).map(commit_key);
        let value = next.map(|key| store.get(Keyspace::Commits, &key));
        let Some(value) = value.transpose()?.flatten() else {
            return Ok(false);
        };
        let record = CommitRecord::decode(&value)?;
        let first = |entry: &Listed| (entry.actor, entry.number) == (actor, EntryNumber::FIRST);
        Ok(record.entries.iter().any(first))
    }

    /// What the index has of commits behind the head must be of such as were made meanwhile.
    fn beyond(&mut self) -> Result<(), Error> {
        let Some(beyond) = self.beyond else {
            return Ok(());
        };
        let last = self
            .subject
            .slot
            .store()?
            .last(Keyspace::Commits, Span::ALL)?;
        let last = last.map(|(key, _)| commit_of_key(&key)).transpose()?;
        self.expect(last >= Some(beyond), || {
            let last = last.map_or(0, CommitIndex::get);
            format!(
                "the index has entries of commit {beyond}, but the journal ends with commit {last}"
            )
        });
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Error> {
        let MarkSource::File(path) = self.subject.mark else {
            return Ok(());
        };
        match mark::read(path)? {
            Found::Absent => self.found(format!("the mark {} is missing", path.display())),
            Found::Damaged => self.found(format!("the mark {} is damaged", path.display())),
            Found::Newer(format) => {
                self.found(format!("the mark {} has format {format}", path.display()));
            }
            Found::Whole(mark, _) => {
                // After the mark was read: it never leads.
                let store = self.subject.slot.store()?;
                let past = self.subject.past;
                let head = load_head(&*store, past)?;
                if let Some(objection) = check_mark(&*store, past, head.as_ref(), &mark)? {
                    self.found(objection.words().to_owned());
                }
            }
        }
        Ok(())
    }

    fn expect(&mut self, holds: bool, finding: impl FnOnce() -> String) {
        if !holds {
            self.found(finding());
        }
    }
}
