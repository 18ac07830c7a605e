//! The full check of a journal, and the quick one that every opening makes.
//!
//! A file of its own because both answer one question, whether this is all that was ever
//! acknowledged, and neither trusts what the other remembers.

use std::path::PathBuf;

use crate::chain::{Break, Stop, Walk, listed_frame};
use crate::entry::{Entry, decode_entry};
use crate::error::Error;
use crate::hash::Hash;
use crate::ids::{ActorNumber, CommitIndex, EntryNumber};
use crate::index::Index;
use crate::journal::{ActorRow, Head, VerifyReport};
use crate::layout::{
    ACTOR_NAMES, ACTOR_NUMBERS, Checked, META_CHECKED, Past, actor_name_key, actor_number_key,
    actor_of_number_key, actor_of_row, entry_of_key,
};
use crate::mark::{self, Found, Mark};
use crate::reads::{hash_at, load_head, scan_up_to};
use crate::record::Listed;
use crate::store::{Keyspace, Span, Store};

/// More findings than this are counted, not kept.
const MAX_FINDINGS: usize = 1000;

/// Where the mark of a journal is.
#[derive(Debug, Clone)]
pub(crate) enum MarkSource {
    /// A journal in memory has none.
    None,
    /// The mark's file.
    File(PathBuf),
}

/// What the quick check found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// The newest commit.
    pub(crate) head: Option<Head>,
    /// How many commits were checked.
    pub(crate) verified: u64,
}

/// Checks the chain and the entries from the newest commit known to be flushed to the head.
pub(crate) fn verify_tail(store: &dyn Store, past: &Past) -> Result<Tail, Stop> {
    let checked = store.get(Keyspace::Meta, META_CHECKED)?;
    let mut walk = match checked.map(|value| Checked::decode(&value)).transpose()? {
        Some(checked) => Walk::behind(past, store, checked)?,
        None => Walk::from_start(past),
    };
    let Some(from) = walk.next() else {
        return Err(Error::Exhausted { what: "commits" }.into());
    };
    let mut verified = 0;
    each_commit(store, &mut walk, from, &mut verified, &mut |_, _| {})?;
    let head = load_head(store, Some(past))?;
    Ok(Tail { head, verified })
}

/// Judges each commit from `from` on and every entry that it lists; counts the commits, shows the entries.
fn each_commit(
    store: &dyn Store,
    walk: &mut Walk<'_>,
    from: CommitIndex,
    judged: &mut u64,
    seen: &mut dyn FnMut(&Listed, &[u8]),
) -> Result<(), Stop> {
    let key = from.get().to_be_bytes();
    let mut broken = None;
    let span = Span {
        from: &key,
        to: None,
    };
    let walked = scan_up_to(
        store,
        Keyspace::Commits,
        span,
        usize::MAX,
        &mut |key, value| {
            let step = walk.step(key, value).and_then(|(index, record)| {
                for listed in &record.entries {
                    seen(listed, &listed_frame(store, index, listed, value)?);
                }
                *judged += 1;
                Ok(())
            });
            step.map_err(|stop| {
                let Stop::Broken(found) = &stop else {
                    return stop.into();
                };
                broken = Some(found.clone());
                stop.into()
            })
        },
    );
    match (walked, broken) {
        (_, Some(broken)) => Err(Stop::Broken(broken)),
        (walked, None) => Ok(walked?),
    }
}

/// Whether a journal with this head is one that the mark allows; `Err` says in words why not.
pub(crate) enum Objection {
    /// The journal ends before the mark, or the mark is of a later epoch.
    Behind(String),
    /// The mark is of another timeline.
    Foreign(String),
    /// The commit that the mark names is another one.
    Other(Break),
}

impl Objection {
    fn words(&self) -> &str {
        match self {
            Self::Behind(words) | Self::Foreign(words) => words,
            Self::Other(Break { what, .. }) => what,
        }
    }
}

/// Holds the journal against the mark.
pub(crate) fn check_mark(
    store: &dyn Store,
    past: Option<&Past>,
    head: Option<&Head>,
    mark: &Mark,
) -> Result<Option<Objection>, Error> {
    let Some(reached) = mark.reached else {
        return Ok(None);
    };
    let (commit, epoch) = (reached.commit, reached.epoch);
    let Some(head) = head else {
        return Ok(Some(Objection::Behind(format!(
            "the journal is empty, but commit {commit} was acknowledged: commits 1 to {commit} are \
             missing"
        ))));
    };
    if head.index < commit {
        return Ok(Some(Objection::Behind(format!(
            "the journal ends with commit {}, but commit {commit} was acknowledged: commits {} to \
             {commit} are missing",
            head.index,
            head.index.get().saturating_add(1),
        ))));
    }
    if head.epoch < epoch {
        return Ok(Some(Objection::Behind(format!(
            "the journal ends in epoch {}, but its mark was written in epoch {epoch}: an older copy \
             of the journal took its place",
            head.epoch
        ))));
    }
    if past.and_then(|past| past.at(commit)) != Some(mark.history) {
        return Ok(Some(Objection::Foreign(format!(
            "the mark is of history {}, the journal of history {}",
            mark.history, head.history
        ))));
    }
    let hash = match hash_at(store, commit) {
        Ok(hash) => hash,
        Err(Error::BrokenChain { commit, report }) => {
            return Ok(Some(Objection::Other(Break {
                commit,
                what: report,
            })));
        }
        Err(error) => return Err(error),
    };
    let other = (hash != reached.hash()).then(|| {
        let what = format!(
            "commit {commit} has hash {hash}, but the one that was acknowledged has {}",
            reached.hash()
        );
        Objection::Other(Break { commit, what })
    });
    Ok(other)
}

/// Walks everything.
pub(crate) fn verify(
    store: &dyn Store,
    index: &Index,
    past: Option<&Past>,
    mark: &MarkSource,
) -> Result<VerifyReport, Error> {
    let mut check = Check::default();
    let listed = check.commits(store, past)?;
    let indexed = check.entries(store, index)?;
    check.actors(store)?;
    if let (Some(listed), Some(indexed)) = (listed, indexed) {
        check.expect(listed == indexed, || {
            format!(
                "the index has {} entries and the commits {}, or they are not the same: stop the node, \
                 delete the folder `index` of its data directory, and start it: it builds the index anew",
                indexed.count, listed.count
            )
        });
    }
    check.mark(store, past, mark)?;
    if check.dropped > 0 {
        check
            .report
            .findings
            .push(format!("and {} more findings", check.dropped));
    }
    Ok(check.report)
}

/// A full check in progress.
#[derive(Default)]
struct Check {
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
    fn add(&mut self, actor: ActorNumber, number: EntryNumber, hash: &Hash) {
        self.count += 1;
        let named = [
            &actor.get().to_be_bytes()[..],
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

impl Check {
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
            Err(error @ (Error::Store { corrupt: true, .. } | Error::Undecodable { .. })) => {
                self.found(format!("reading {what} ended early: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The chain from its start. Which entries it lists, if it holds.
    fn commits(&mut self, store: &dyn Store, past: Option<&Past>) -> Result<Option<Sum>, Error> {
        let mut listed = Sum::default();
        let Some(past) = past else {
            return Ok(Some(listed));
        };
        let mut walk = Walk::from_start(past);
        let walked = each_commit(
            store,
            &mut walk,
            CommitIndex::FIRST,
            &mut self.report.commits,
            &mut |entry, frame| listed.add(entry.actor, entry.number, &Hash::of(frame)),
        );
        match walked {
            Ok(()) => Ok(Some(listed)),
            Err(Stop::Broken(found)) => {
                self.found(format!("the chain of commits is broken: {}", found.what));
                Ok(None)
            }
            Err(Stop::Failed(error)) => self.damage("commits", Err(error)).map(|()| None),
        }
    }

    /// Numbers and events of every actor without gaps, and each actor known by its name.
    fn entries(&mut self, store: &dyn Store, index: &Index) -> Result<Option<Sum>, Error> {
        let mut at = Position::default();
        let mut sum = Sum::default();
        let walked = index.each(&mut |key, _, frame| {
            let (actor, number) = entry_of_key(key)?;
            sum.add(actor, number, &Hash::of(frame));
            self.entry(store, &mut at, actor, number, decode_entry(frame))
        });
        let whole = walked.is_ok();
        self.damage("entries", walked)?;
        Ok(whole.then_some(sum))
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
    fn actors(&mut self, store: &dyn Store) -> Result<(), Error> {
        let (mut names, mut numbers) = (0, 0);
        let span = Span {
            from: ACTOR_NAMES.0,
            to: Some(ACTOR_NAMES.1),
        };
        let walked = scan_up_to(
            store,
            Keyspace::Actors,
            span,
            usize::MAX,
            &mut |key, value| {
                names += 1;
                actor_of_row(key, value).map(drop)
            },
        );
        self.damage("the table of actors", walked)?;
        let span = Span {
            from: ACTOR_NUMBERS.0,
            to: Some(ACTOR_NUMBERS.1),
        };
        let walked = scan_up_to(store, Keyspace::Actors, span, usize::MAX, &mut |key, _| {
            numbers += 1;
            actor_of_number_key(key).map(drop)
        });
        self.damage("the table of actors", walked)?;
        let actors = self.report.actors;
        self.expect((names, numbers) == (actors, actors), || {
            format!(
                "the table of actors has {names} names and {numbers} numbers, but {actors} actors \
                 have entries"
            )
        });
        Ok(())
    }

    fn mark(
        &mut self,
        store: &dyn Store,
        past: Option<&Past>,
        source: &MarkSource,
    ) -> Result<(), Error> {
        let MarkSource::File(path) = source else {
            return Ok(());
        };
        match mark::read(path)? {
            Found::Absent => self.found(format!("the mark {} is missing", path.display())),
            Found::Damaged => self.found(format!("the mark {} is damaged", path.display())),
            Found::Newer(format) => {
                self.found(format!("the mark {} has format {format}", path.display()));
            }
            Found::Whole(mark, _) => {
                let head = load_head(store, past)?;
                if let Some(objection) = check_mark(store, past, head.as_ref(), &mark)? {
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
