//! The way to a root: component by component, so that nobody but whom the node trusts decides where it leads.
//!
//! A symlink is followed where only root and the node's own user can have chosen what it names: it is theirs, and the
//! directory that it is in is theirs too and nobody else may replace what is in there. Anybody else could make a cleanup
//! of a directory of theirs one of any other directory.

use std::io;
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::DirExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt};

use super::dirs::Miss;

/// Symlinks on one way, as many as the system itself would follow.
const MOST_LINKS: usize = 40;

/// The real directories from `/` to the one at `path`, which is the last of them.
pub(super) fn open(path: &str) -> Result<Vec<Dir>, Miss> {
    let mut way = vec![Dir::open_ambient_dir("/", ambient_authority())?];
    let mut links = 0;
    let mut ahead = vec![PathBuf::from(path)];
    while let Some(next) = ahead.pop() {
        let mut components = next.components();
        let Some(first) = components.next() else {
            continue;
        };
        ahead.push(components.as_path().to_owned());
        match first {
            Component::RootDir => way.truncate(1),
            Component::ParentDir if way.len() > 1 => drop(way.pop()),
            Component::ParentDir | Component::CurDir | Component::Prefix(_) => {}
            Component::Normal(name) => match step(&way, Path::new(name))? {
                Step::Into(dir) => way.push(dir),
                Step::To(_) if links == MOST_LINKS => {
                    return Err(Miss::Refused(io::Error::other("too many symlinks")));
                }
                Step::To(target) => {
                    links += 1;
                    ahead.push(target);
                }
            },
        }
    }
    Ok(way)
}

/// Where one component leads.
enum Step {
    /// A directory.
    Into(Dir),
    /// What a symlink names.
    To(PathBuf),
}

fn step(way: &[Dir], name: &Path) -> Result<Step, Miss> {
    let parent = way.last().ok_or(Miss::Absent)?;
    let found = parent.symlink_metadata(name)?;
    if !found.is_symlink() {
        return match parent.open_dir_nofollow(name) {
            Ok(dir) => Ok(Step::Into(dir)),
            Err(_) if !found.is_dir() => Err(Miss::Elsewhere),
            Err(error) => Err(error.into()),
        };
    }
    if !is_trusted(&found, &parent.dir_metadata()?) {
        let name = name.display();
        let reason = format!(
            "{name:?} on the way is a symlink that others than root and the node's user can change: name the directory \
             that is meant"
        );
        return Err(Miss::Refused(io::Error::other(reason)));
    }
    Ok(Step::To(parent.read_link_contents(name)?))
}

/// Whether only root and this process's user can have chosen what the link `link` in the directory `parent` names.
fn is_trusted(link: &Metadata, parent: &Metadata) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    /// Who may write there replaces only what is their own.
    const STICKY: u32 = 0o1000;

    let own = rustix::process::geteuid().as_raw();
    let is_ours = |one: &Metadata| one.uid() == 0 || one.uid() == own;
    let is_closed = parent.mode() & OTHERS_WRITE == 0 || parent.mode() & STICKY != 0;
    is_ours(link) && is_ours(parent) && is_closed
}
