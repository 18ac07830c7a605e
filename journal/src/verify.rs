//! The quick check of a journal that every opening makes, and the full one (`full`).
//!
//! A file of its own because both answer one question, whether this is all that was ever
//! acknowledged, and neither trusts what the other remembers.

mod full;

use std::path::PathBuf;

use crate::chain::{Break, Stop, Walk, listed_frame};
use crate::error::Error;
use crate::ids::CommitIndex;
use crate::journal::Head;
use crate::layout::{Checked, META_CHECKED, Past, commit_key};
use crate::mark::Mark;
use crate::reads::{hash_at, load_head, scan_chunk};
use crate::record::Listed;
use crate::store::{Keyspace, Span, Store};

pub(crate) use full::{Subject, verify};

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
    if walk.next().is_none() {
        return Err(Error::Exhausted { what: "commits" }.into());
    }
    let mut verified = 0;
    while some_commits(store, &mut walk, None, &mut verified, &mut |_, _, _| Ok(()))? {}
    let head = load_head(store, Some(past))?;
    Ok(Tail { head, verified })
}

/// Told each entry that a commit lists, with its frame.
type Seen<'a> = dyn FnMut(CommitIndex, &Listed, &[u8]) -> Result<(), Error> + 'a;

/// Judges the next commits of a walk up to but without the key `end`, and every entry that they list; counts the
/// commits, shows the entries. `Ok(true)`: there may be more.
fn some_commits(
    store: &dyn Store,
    walk: &mut Walk<'_>,
    end: Option<&[u8]>,
    judged: &mut u64,
    seen: &mut Seen<'_>,
) -> Result<bool, Stop> {
    let Some(from) = walk.next() else {
        return Ok(false);
    };
    let span = Span {
        from: &commit_key(from),
        to: end,
    };
    let mut broken = None;
    let walked = scan_chunk(store, Keyspace::Commits, span, &mut |key, value| {
        let step = walk.step(key, value).and_then(|(index, record)| {
            for listed in &record.entries {
                seen(index, listed, &listed_frame(store, index, listed, value)?)?;
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
    });
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

#[cfg(test)]
mod tests;
