//! Lines for the journal of systemd: `<N>` before each, from which it takes the priority
//! (`sd-daemon(3)`), and neither time nor colours, since it knows the one and shows its own.
//!
//! The journal's own socket would carry fields apart, but a message that does not get through there is
//! lost, and panics and what RocksDB prints go to stderr anyway: one way keeps the order.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Makes writers to stderr that know the level of what is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToJournal;

impl MakeWriter<'_> for ToJournal {
    type Writer = Lines<io::Stderr>;

    fn make_writer(&self) -> Self::Writer {
        Lines::new(Level::INFO, io::stderr())
    }

    fn make_writer_for(&self, meta: &Metadata<'_>) -> Self::Writer {
        Lines::new(*meta.level(), io::stderr())
    }
}

/// One event, each line of it with its priority.
#[derive(Debug)]
pub(super) struct Lines<W> {
    priority: &'static str,
    to: W,
}

impl<W> Lines<W> {
    fn new(level: Level, to: W) -> Self {
        Self {
            priority: priority(level),
            to,
        }
    }
}

/// The levels of syslog; notice (5) lies between warnings and information and has no level of ours.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

impl<W: Write> Write for Lines<W> {
    /// A subscriber writes an event in one piece, which ends with a line's end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let mut marked = Vec::with_capacity(event.len().saturating_add(8));
        for line in event.split_inclusive(|byte| *byte == b'\n') {
            marked.extend_from_slice(self.priority.as_bytes());
            marked.extend_from_slice(line);
        }
        self.to.write_all(&marked)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether stderr goes to the journal: `$JOURNAL_STREAM` names its device and inode. The variable alone
/// says nothing, since children inherit it whose stderr goes elsewhere.
pub(super) fn is_stderr() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let meta = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|stderr| std::fs::File::from(stderr).metadata());
    meta.is_ok_and(|meta| stream.to_str() == Some(&format!("{}:{}", meta.dev(), meta.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(level: Level, event: &str) -> String {
        let mut lines = Lines::new(level, Vec::new());
        lines.write_all(event.as_bytes()).unwrap();
        String::from_utf8(lines.to).unwrap()
    }

    #[test]
    fn each_line_has_the_priority_of_its_event() {
        assert_eq!(written(Level::ERROR, "it broke\n"), "<3>it broke\n");
        assert_eq!(written(Level::WARN, "a\nb\n"), "<4>a\n<4>b\n");
        assert_eq!(written(Level::INFO, "no end"), "<6>no end");
        assert_eq!(written(Level::TRACE, "x\n"), written(Level::DEBUG, "x\n"));
    }
}
