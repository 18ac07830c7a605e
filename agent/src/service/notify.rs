//! What the service manager is told, as `sd_notify(3)` describes it: datagrams to `$NOTIFY_SOCKET`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

/// What the node is doing, in the words of systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State<'a> {
    /// It starts.
    Starting(&'a str),
    /// It serves: also the end of a reload.
    Ready(&'a str),
    /// It reads its configuration again; [`State::Ready`] has to follow.
    Reloading,
    /// It ends in order.
    Stopping(&'a str),
    /// It is alive.
    Alive,
}

impl State<'_> {
    /// `now` is the monotonic clock in microseconds, without which systemd 253 and newer take a reload
    /// for a failure. It has to be in the same message.
    fn message(self, now: impl FnOnce() -> u64) -> String {
        match self {
            Self::Starting(status) => format!("STATUS={}\n", line(status)),
            Self::Ready(status) => format!("READY=1\nSTATUS={}\n", line(status)),
            Self::Reloading => format!(
                "RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reading the configuration again\n",
                now()
            ),
            Self::Stopping(status) => format!("STOPPING=1\nSTATUS={}\n", line(status)),
            Self::Alive => "WATCHDOG=1\n".to_owned(),
        }
    }
}

/// A status has one line: whatever follows would be read as another assignment.
fn line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

/// Tells the service manager, if there is one that wants to know. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notifier(Option<Arc<Channel>>);

#[derive(Debug)]
struct Channel {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// As `$NOTIFY_SOCKET` says.
    pub(crate) fn from_environment() -> Self {
        Self::new(std::env::var_os("NOTIFY_SOCKET").as_ref())
    }

    /// A socket that cannot be used is said in the log and otherwise as none.
    fn new(socket: Option<&OsString>) -> Self {
        let Some(name) = socket.filter(|name| !name.is_empty()) else {
            return Self(None);
        };
        match Channel::open(name) {
            Ok(channel) => Self(Some(Arc::new(channel))),
            Err(error) => {
                tracing::warn!(?name, %error, "NOTIFY_SOCKET cannot be used: the service manager is told nothing");
                Self(None)
            }
        }
    }

    /// Whether anybody listens.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Tells it. A message that does not get through is said in the log: it must not end the node.
    pub(crate) fn tell(&self, state: State<'_>) {
        let Some(channel) = &self.0 else { return };
        let message = state.message(monotonic_micros);
        let Channel { socket, address } = &**channel;
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, ?state, "the service manager could not be told");
        }
    }
}

impl Channel {
    fn open(name: &OsStr) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            address: address(name)?,
        })
    }
}

/// A path, or `@NAME` for a name that is in no file system.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().split_first() {
        Some((b'@', name)) => abstract_address(name),
        _ => SocketAddr::from_pathname(name),
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The monotonic clock that systemd reads too.
fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    let micros = seconds.unwrap_or_default().saturating_mul(1_000_000);
    micros.saturating_add(nanos.unwrap_or_default() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_state_is_one_message() {
        let check = |state: State<'_>, expected: &str| assert_eq!(state.message(|| 7), expected);
        check(State::Starting("opening"), "STATUS=opening\n");
        check(State::Ready("serving"), "READY=1\nSTATUS=serving\n");
        check(State::Stopping("ends"), "STOPPING=1\nSTATUS=ends\n");
        check(State::Alive, "WATCHDOG=1\n");
        let reloading = State::Reloading.message(|| 7);
        assert!(
            reloading.starts_with("RELOADING=1\nMONOTONIC_USEC=7\n"),
            "{reloading}"
        );
        check(State::Ready("a\nREADY=0"), "READY=1\nSTATUS=a READY=0\n");
    }

    #[test]
    fn sockets_in_and_outside_of_the_file_system_are_reached() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        Notifier::new(Some(&path.into())).tell(State::Alive);
        assert_eq!(received(&listener), "WATCHDOG=1\n");
        #[cfg(target_os = "linux")]
        {
            let name = format!("@steadfast-test-{}", std::process::id());
            let listener = UnixDatagram::bind_addr(&address(name.as_ref()).unwrap()).unwrap();
            Notifier::new(Some(&name.into())).tell(State::Alive);
            assert_eq!(received(&listener), "WATCHDOG=1\n");
        }
    }

    #[test]
    fn nobody_to_tell_is_no_failure() {
        Notifier::new(None).tell(State::Alive);
        Notifier::new(Some(&OsString::new())).tell(State::Alive);
        assert!(!Notifier::new(Some(&"x".repeat(4_096).into())).is_wanted());
        let gone = Notifier::new(Some(&"/nonexistent/notify".into()));
        assert!(gone.is_wanted());
        gone.tell(State::Alive);
    }

    #[test]
    fn the_monotonic_clock_moves_on() {
        let before = monotonic_micros();
        assert!(before > 0 && monotonic_micros() >= before);
    }
}
