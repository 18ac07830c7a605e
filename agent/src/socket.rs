//! The socket that every node serves in its data directory, and the rule on how long its path may be.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::failure::is_denied;
use crate::problem::{Code, Problem};

/// Its name in the data directory.
pub(crate) const SOCKET: &str = "steadfast.sock";
/// Longest path that the system takes for a socket: `sun_path` has 108 bytes with the closing zero.
const MAX_BYTES: usize = 107;

/// The socket of the node in `dir`.
///
/// # Errors
/// [`Code::Config`] if the path is too long.
pub(crate) fn path_in(dir: &Path) -> Result<PathBuf, Problem> {
    let path = dir.join(SOCKET);
    check_length(&path)?;
    Ok(path)
}

/// Refuses a path that no socket can have.
pub(crate) fn check_length(path: &Path) -> Result<(), Problem> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let detail = format!(
        "the socket path {} has {bytes} bytes, the system allows {MAX_BYTES}: choose a shorter data \
         directory, or reach it by a shorter symbolic link",
        path.display()
    );
    Err(Problem::new(Code::Config, detail).hint("steadfast run --config FILE --data-dir SHORTER"))
}

/// A socket that is being served; its file goes with it, unless another node has put its own there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: Option<u64>,
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            inode: inode_of(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.inode != inode_of(&self.path) {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

fn inode_of(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path)
        .ok()
        .map(|found| found.ino())
}

/// Listens on `path`, for the owner only. A socket that nobody serves any more is replaced.
///
/// # Errors
/// [`Code::Unavailable`] if somebody serves it, [`Code::Config`] if something else lies there.
pub(crate) fn listen(path: &Path) -> Result<(UnixListener, SocketFile), Problem> {
    check_length(path)?;
    refuse_occupied(path)?;
    // Bound under another name, so that nobody sees it before its mode is right.
    let hidden = hidden(path);
    let failed = |error: std::io::Error| {
        let code = if is_denied(error.kind()) {
            Code::Permission
        } else {
            Code::Failed
        };
        Problem::new(
            code,
            format!("could not listen on {}: {error}", path.display()),
        )
    };
    drop(std::fs::remove_file(&hidden));
    let listener = UnixListener::bind(&hidden).map_err(failed)?;
    std::fs::set_permissions(&hidden, Permissions::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&hidden, path).map_err(failed)?;
    let file = SocketFile::new(path);
    listener.set_nonblocking(true).map_err(failed)?;
    Ok((listener, file))
}

/// A name beside `path` that is no longer than it.
fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let mut hidden = name.to_vec();
    if let Some(first) = hidden.first_mut() {
        *first = if *first == b'.' { b'_' } else { b'.' };
    }
    path.with_file_name(OsStr::from_bytes(&hidden))
}

fn refuse_occupied(path: &Path) -> Result<(), Problem> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        let detail = format!("{} is in the way: it is no socket", path.display());
        return Err(Problem::new(Code::Config, detail).hint(format!("rm {}", path.display())));
    }
    if UnixStream::connect(path).is_ok() {
        let detail = format!("another process serves {}", path.display());
        return Err(Problem::new(Code::Unavailable, detail)
            .hint(format!("steadfast ps --node unix:{}", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_is_107_bytes() {
        let dir = |bytes: usize| PathBuf::from(format!("/{}", "d".repeat(bytes - 16)));
        assert!(path_in(&dir(107)).is_ok());
        assert_eq!(
            path_in(&dir(108)).map_err(|problem| problem.code),
            Err(Code::Config)
        );
    }
}
