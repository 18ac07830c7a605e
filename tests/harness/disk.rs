//! A file system of its own whose power can be cut.
//!
//! ext4 and xfs know a call that shuts them down without writing their journal back, which is what a power cut does to
//! all that was not synced (`EXT4_IOC_SHUTDOWN`, `XFS_IOC_GOINGDOWN`, flag `NOLOGFLUSH`). It does not model a drive
//! that loses what it said to have written.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::say;

/// The call, and its flag, in Perl: it is on every Debian, and ours is a crate without unsafe code.
const SHUT_DOWN: &str = r#"open(my $f, "<", $ARGV[0]) or die "$!"; my $flag = pack("L", 2);
ioctl($f, 0x8004587d, $flag) or die "$!""#;

/// A kind of file system.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    const fn size(self) -> &'static str {
        match self {
            Self::Ext4 => "256M",
            // The least that it takes.
            Self::Xfs => "320M",
        }
    }
}

/// An image and where it is mounted. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Cuttable {
    image: PathBuf,
    pub(crate) at: PathBuf,
}

impl Cuttable {
    /// A new one below `root`; `None`, said aloud, where this machine does not let us.
    pub(crate) fn create(test: &str, root: &Path, kind: FileSystem) -> Option<Self> {
        let disk = Self {
            image: root.join("disk.img"),
            at: root.join("disk"),
        };
        let made = disk.make(kind);
        if let Err(why) = made {
            say(&format!(
                "{test}: SKIPPED: no {} of its own: {why}",
                kind.name()
            ));
            return None;
        }
        Some(disk)
    }

    fn make(&self, kind: FileSystem) -> Result<(), String> {
        std::fs::create_dir_all(&self.at).map_err(|error| error.to_string())?;
        let image = self.image.display().to_string();
        run("truncate", &["-s", kind.size(), &image])?;
        match kind {
            // No background writer that would blur the picture.
            FileSystem::Ext4 => {
                let lazy = "lazy_itable_init=0,lazy_journal_init=0";
                run("mkfs.ext4", &["-q", "-F", "-E", lazy, &image])?;
            }
            FileSystem::Xfs => run("mkfs.xfs", &["-q", "-f", &image])?,
        }
        self.mount()?;
        let handle = std::fs::File::create(self.handle());
        let synced = handle.and_then(|file| file.sync_all());
        synced.map_err(|error| error.to_string())
    }

    /// A file for the call that shuts it down.
    fn handle(&self) -> PathBuf {
        self.at.join("handle")
    }

    fn mount(&self) -> Result<(), String> {
        let (image, at) = (
            self.image.display().to_string(),
            self.at.display().to_string(),
        );
        run("mount", &["-o", "loop", &image, &at])
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[&self.at.display().to_string()])
    }

    /// From here on nothing reaches the disk that was not there.
    pub(crate) fn cut(&self) {
        let handle = self.handle().display().to_string();
        run("perl", &["-e", SHUT_DOWN, &handle]).expect("the file system shuts down");
    }

    /// The power is back. Nobody may have a file open there.
    pub(crate) fn restore(&self) {
        self.unmount().expect("it unmounts");
        self.mount().expect("it mounts again");
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        // Where it was never mounted there is nothing to undo.
        drop(self.unmount());
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let done = done.map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{program}: {}", said.trim()))
}
