//! Settings of a node: each with its meaning, default and bound; checked once, before anything starts.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::core::KeyLimits;
use crate::error::NodeError;
use crate::memory;

/// How a node runs. Take the default and change what you need.
///
/// ```
/// use std::time::Duration;
/// use steadfast::Node;
///
/// let node = Node::in_memory().config(|config| {
///     config.keys = 10_000;
///     config.key_window = Duration::from_secs(7 * 24 * 3_600);
/// });
/// # node.start_blocking()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Worker threads; each owns a share of the actors. Default: one per core.
    pub workers: NonZeroUsize,
    /// Commands that one actor may have waiting before `try_ask` is told `Overloaded`. Default 1,024.
    pub mailbox_capacity: usize,
    /// Commands of waiting callers that one actor may have beyond that. Default 16,384.
    pub waiting_capacity: usize,
    /// Commands on their way to one worker; beyond it `ask` waits. Default 8,192.
    pub worker_queue: usize,
    /// Bytes that one worker may have written and not yet durable; beyond it mailboxes wait. Default
    /// 32 MiB.
    pub undurable_bytes: usize,
    /// Most bytes that one command may write. A caller is told `TooLarge`; an actor that wants more for the outcome
    /// of an effect, a timer or a message is set aside. Default 4 MiB.
    pub entry_bytes: usize,
    /// Messages of one actor that may wait for their receivers before its callers are told `Overloaded`.
    /// Default 10,000.
    pub outbox_capacity: u64,
    /// Bytes that actors in memory may take, estimated from the encoded size of their states and divided
    /// evenly among the workers; beyond it those that were not used for longest leave memory. Actors with
    /// waiting commands or commits on their way stay, so that the estimate may be over it by these; 0 means
    /// no limit. Default: a quarter of the memory that the machine or the control group has, or 512 MiB
    /// where that cannot be found out.
    pub resident_bytes: usize,
    /// Bytes of snapshots and entries that recoveries under way may have read and not yet handed over;
    /// beyond it no further one begins. Default 64 MiB.
    pub recovery_bytes: usize,
    /// A recovery that somebody waits for longer than this is named in a warning and counted. Default
    /// 30 s.
    pub recovery_watchdog: Duration,
    /// Idle time before an actor leaves memory. Default 5 minutes.
    pub passivate_after: Duration,
    /// Entries between two snapshots of an actor; 0 takes none. Default 200.
    pub snapshot_every: u64,
    /// Keys that one actor remembers. Default 1,024.
    pub keys: usize,
    /// How long a key is remembered. Default 24 hours.
    pub key_window: Duration,
    /// Effects that run at the same time. Default 64.
    pub effects: usize,
    /// Effects of class [`Long`](crate::EffectClass::Long) that run at the same time, beside the others.
    /// Default 64.
    pub long_effects: usize,
    /// Effects that the node holds in memory, whether they run, wait for a place or for their next attempt; their
    /// bodies take 256 MiB at most. The rest waits on disk, in the order of the actors' first entries, until an eighth
    /// is free. Class [`Urgent`](crate::EffectClass::Urgent) always has room. Default 65,536.
    pub effects_in_memory: usize,
    /// Timers that the node holds in memory; those due later wait on disk only. It may be passed by as much
    /// again for a moment, while many are set. Default 65,536.
    pub timer_window: usize,
    /// How long shutting down waits for accepted commands and running effects; for these, three quarters of
    /// it. Default 30 s.
    pub drain_timeout: Duration,
    /// Failures in a row of one piece of work of the runtime's own (a timer's command, an effect's outcome,
    /// a message) after which its actor is set aside; 0 means never. Default 5.
    pub quarantine_after: u32,
    /// Failures in a row of an actor's commands, from whomever, after which it is set aside; 0 means never.
    /// Any command that is answered or rejected in between ends the row, so that one bad request cannot set
    /// aside an actor that serves others. Default 10.
    pub quarantine_after_commands: u32,
    /// A handler that takes longer is named in a warning. Default 50 ms.
    pub slow_handler: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            mailbox_capacity: 1_024,
            waiting_capacity: 16_384,
            worker_queue: 8_192,
            undurable_bytes: 32 << 20,
            entry_bytes: 4 << 20,
            outbox_capacity: 10_000,
            resident_bytes: memory::limit().map_or(512 << 20, |limit| limit / 4),
            recovery_bytes: 64 << 20,
            recovery_watchdog: Duration::from_secs(30),
            passivate_after: Duration::from_secs(300),
            snapshot_every: 200,
            keys: 1_024,
            key_window: Duration::from_secs(24 * 3600),
            effects: 64,
            long_effects: 64,
            effects_in_memory: 65_536,
            timer_window: 65_536,
            drain_timeout: Duration::from_secs(30),
            quarantine_after: 5,
            quarantine_after_commands: 10,
            slow_handler: Duration::from_millis(50),
        }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), NodeError> {
        let positive = [
            ("mailbox_capacity", self.mailbox_capacity),
            ("worker_queue", self.worker_queue),
            ("undurable_bytes", self.undurable_bytes),
            ("entry_bytes", self.entry_bytes),
            ("recovery_bytes", self.recovery_bytes),
            ("effects", self.effects),
            ("long_effects", self.long_effects),
            ("effects_in_memory", self.effects_in_memory),
            ("timer_window", self.timer_window),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(NodeError::Config {
                    field,
                    reason: "must be at least 1".to_owned(),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn key_limits(&self) -> KeyLimits {
        KeyLimits {
            count: self.keys,
            time: self.key_window,
        }
    }
}
