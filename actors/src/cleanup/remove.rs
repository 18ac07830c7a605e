//! Removes planned files, each through the handle of its directory and only if it is still the file that
//! was planned.
//!
//! Invariant: a verdict `Removed` is given for a file at most once in the life of the journal. The effect
//! is journalled with its files, so a second attempt means the same files; see `Sweeper::missed` for those it
//! finds gone.

use std::collections::BTreeMap;
use std::io;

use cap_std::fs::Dir;
use tracing::debug;

use super::dirs::{Access, Miss, RootDir, is_below};
use super::effect::{Sweep, Verdict};
use super::plan::{PlannedFile, Root};

#[cfg(test)]
mod tests;

/// Directories that are kept open until they are synced. The first sync commits the removals of all of
/// them on most file systems, so that the others cost little.
const MAX_UNSYNCED: usize = 64;

/// One verdict for each file of `sweep`, in its order. `may_have_run` says that an earlier attempt may
/// have removed some of them.
pub(super) fn sweep(sweep: &Sweep, may_have_run: bool, access: Access) -> Vec<Verdict> {
    let mut directories: BTreeMap<&str, Vec<(usize, &PlannedFile)>> = BTreeMap::new();
    for (at, file) in sweep.files.iter().enumerate() {
        let directory = file
            .path
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        directories.entry(directory).or_default().push((at, file));
    }
    let mut sweeper = Sweeper {
        access,
        may_have_run,
        unsynced: Vec::new(),
    };
    let mut verdicts = BTreeMap::new();
    for (directory, files) in directories {
        sweeper.directory(&sweep.roots, directory, &files, &mut verdicts);
    }
    sweeper.sync();
    verdicts.into_values().collect()
}

struct Sweeper {
    access: Access,
    may_have_run: bool,
    /// Directories with removals that a power cut could still undo.
    unsynced: Vec<Dir>,
}

impl Sweeper {
    fn directory(
        &mut self,
        roots: &[Root],
        path: &str,
        files: &[(usize, &PlannedFile)],
        verdicts: &mut BTreeMap<usize, Verdict>,
    ) {
        let (root, dir) = match self.enter(roots, path) {
            Ok(entered) => entered,
            Err(verdict) => {
                verdicts.extend(files.iter().map(|(at, _)| (*at, verdict.clone())));
                return;
            }
        };
        let removed = files.iter().fold(false, |removed, (at, file)| {
            let verdict = self.file(&root, &dir, file);
            let removed = removed || verdict == Verdict::Removed;
            verdicts.insert(*at, verdict);
            removed
        });
        if removed {
            self.unsynced.push(dir);
        }
        if self.unsynced.len() == MAX_UNSYNCED {
            self.sync();
        }
    }

    /// The directory with the absolute path `path` by way of its root, or what that means for its files.
    fn enter(&self, roots: &[Root], path: &str) -> Result<(RootDir, Dir), Verdict> {
        let root = self.root(roots, path)?;
        let dir = root
            .descend(self.access, path)
            .map_err(|miss| self.missed(miss))?;
        Ok((root, dir))
    }

    /// The root that `path` was found from: the innermost of those that hold it.
    ///
    /// A root that is not there any more proves nothing about its files, as its disk may just not be
    /// mounted.
    fn root(&self, roots: &[Root], path: &str) -> Result<RootDir, Verdict> {
        let failed = |what: &str| Err(Verdict::Failed(what.to_owned()));
        let holding = roots.iter().filter(|root| is_below(path, &root.path));
        let Some(planned) = holding.max_by_key(|root| root.path.len()) else {
            return failed("it lies outside of the roots");
        };
        match RootDir::open(&planned.path) {
            Ok(root) if root.inode == planned.inode => Ok(root),
            Ok(_) => failed("the root is another directory than when the file was planned"),
            Err(Miss::Absent) if self.may_have_run => failed("the root is gone since the restart"),
            Err(miss) => Err(self.missed(miss)),
        }
    }

    fn file(&self, root: &RootDir, dir: &Dir, planned: &PlannedFile) -> Verdict {
        let name = planned.path.rsplit_once('/').map_or("", |(_, name)| name);
        match root.look(dir, &planned.path, name) {
            Ok(found) if found == *planned => match (self.access.unlink)(dir, name) {
                Ok(()) => Verdict::Removed,
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.missed(Miss::Absent),
                Err(error) => Verdict::Failed(error.to_string()),
            },
            Ok(found) => self.replaced(planned, &found),
            Err(miss) => self.missed(miss),
        }
    }

    /// What it means for a planned file that it is not found. If this is certainly the first attempt,
    /// somebody else removed it. If not, we most likely did, just before the crash.
    fn missed(&self, miss: Miss) -> Verdict {
        match miss {
            Miss::Absent if self.may_have_run => Verdict::Removed,
            Miss::Absent => Verdict::Vanished,
            Miss::Elsewhere | Miss::OtherFileSystem => Verdict::Changed,
            Miss::DataDirectory => Verdict::Failed(miss.to_string()),
            Miss::Refused(error) => Verdict::Failed(error.to_string()),
        }
    }

    /// What it means that another file is found in the place of `planned`. The other stays in any case.
    /// After a crash the planned one may be gone through us: it counts as removed if the other is
    /// certainly a new file, neither the planned one after a change, nor the same one on a file system
    /// that makes up its inode numbers.
    fn replaced(&self, planned: &PlannedFile, found: &PlannedFile) -> Verdict {
        let other_file = planned.inode != found.inode || planned.created_ns != found.created_ns;
        let other_content =
            planned.modified_ns != found.modified_ns || planned.bytes != found.bytes;
        if self.may_have_run && other_file && other_content {
            Verdict::Removed
        } else {
            Verdict::Changed
        }
    }

    /// Makes removals survive a power cut before they are reported, as a file that came back would be
    /// removed and counted again. Where a file system cannot sync directories, that is all there is.
    fn sync(&mut self) {
        for dir in self.unsynced.drain(..) {
            if let Err(error) = dir.open(".").and_then(|file| file.sync_all()) {
                debug!(%error, "a directory could not be synced");
            }
        }
    }
}
