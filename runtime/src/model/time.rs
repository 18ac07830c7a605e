//! Time as an injected value: the only place of this crate that asks the system for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Wall-clock time in microseconds since 1970-01-01 UTC. Displayed as RFC 3339.
/// At rest (MessagePack) it is the number, at the edges (JSON) the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
            Ok(Self(time.as_microsecond()))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

impl Timestamp {
    /// The time `micros` microseconds after 1970 began.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 began.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time `duration` later, or the last one that can be expressed.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// One life of a machine, from its start to its end: what the running clock counts from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct BootId(u128);

impl BootId {
    /// The boot with this number.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).fmt(f)
    }
}

/// Where a node takes its time from: the wall clock, which may jump, and the running clock, which never
/// goes back.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// Time since the boot that [`boot`](Self::boot) names: it never goes back, and all processes of one
    /// boot see the same.
    fn running(&self) -> Duration;

    /// Waits until so much running time has passed. A clock that is not the system's says itself when
    /// that is; the default waits on tokio's time and is called inside a tokio runtime.
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }

    /// Which boot [`running`](Self::running) counts from. A clock whose running time starts anew must
    /// name another one. By default it is always the same: right for a clock that tests move by hand and
    /// keep over restarts.
    fn boot(&self) -> BootId {
        BootId::default()
    }
}

/// A wait on a [`Clock`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// When a node started, by both clocks: what is older was written by an earlier one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) wall: Timestamp,
    pub(crate) running: Duration,
}

/// The system's clocks. On Linux the running clock is `CLOCK_BOOTTIME`, which also counts while the
/// machine sleeps, and a boot is the kernel's. Elsewhere, and where `/proc` cannot be read, each process
/// counts as a boot of its own, in which running time begins anew: timers then age by the wall clock from one
/// process to the next.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot: BootId,
    /// What the clock that counts said when that boot began.
    began: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemClock {
    /// The clocks of this machine.
    #[must_use]
    pub fn new() -> Self {
        static CLOCK: OnceLock<SystemClock> = OnceLock::new();
        *CLOCK.get_or_init(|| match kernels_boot() {
            Some(boot) => Self {
                boot,
                began: Duration::ZERO,
            },
            None => Self::of_this_process(),
        })
    }

    /// With a boot that begins now.
    fn of_this_process() -> Self {
        Self {
            boot: BootId(uuid::Uuid::now_v7().as_u128()),
            began: since_power_on(),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const RUNNING: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RUNNING: ClockId = ClockId::Monotonic;

fn since_power_on() -> Duration {
    let time = clock_gettime(RUNNING);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// The kernel's name for this boot.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn kernels_boot() -> Option<BootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id: uuid::Uuid = text.trim().parse().ok()?;
    Some(BootId(id.as_u128()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn kernels_boot() -> Option<BootId> {
    None
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everyone else is given"
    )]
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, i64::saturating_neg)
            }
        };
        Timestamp(micros)
    }

    fn running(&self) -> Duration {
        since_power_on().saturating_sub(self.began)
    }

    fn boot(&self) -> BootId {
        self.boot
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, SystemClock, since_power_on};

    #[test]
    fn two_clocks_of_one_machine_agree() {
        let (first, second) = (SystemClock::new(), SystemClock::default());
        assert_eq!(first.boot(), second.boot());
        let earlier = first.running();
        assert!(
            second.running() >= earlier,
            "the running clock never goes back"
        );
        assert!(!earlier.is_zero());
    }

    /// A boot that each process makes for itself counts from its own beginning: else all of the machine's running time
    /// would seem to have passed since an earlier process.
    #[test]
    fn a_boot_of_a_process_begins_with_it() {
        let before = since_power_on();
        let own = SystemClock::of_this_process();
        assert!(own.began >= before && own.boot() != SystemClock::new().boot());
        assert!(own.running() + own.began <= since_power_on());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_boot_is_the_kernels() {
        let named = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert_eq!(SystemClock::new().boot().to_string(), named.trim());
    }
}
