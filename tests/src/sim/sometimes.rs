//! What a batch of runs must have reached at least once: a simulation that never gets there proves nothing.

use std::fmt;
use std::ops::AddAssign;

macro_rules! sometimes {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// How often each of these was reached.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Sometimes {
            $($(#[doc = $text])+ pub $name: u64,)+
        }

        impl Sometimes {
            /// Name and count of each.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }

        impl AddAssign for Sometimes {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

sometimes! {
    /// The power was cut at rest.
    power_cut,
    /// The power failed in the middle of a write.
    power_cut_in_a_write,
    /// The power failed once more while the node started.
    power_cut_while_opening,
    /// A sync failed under the node.
    sync_failed,
    /// A write found the disk full.
    disk_was_full,
    /// A node ended in order while its disk was slow.
    disk_was_slow,
    /// A read failed.
    read_failed,
    /// A scan broke behind some of its rows.
    scan_broke,
    /// A read of commits or of a table failed or broke.
    table_read_failed,
    /// The node ended in order and started again.
    restarted,
    /// An operation without an answer turned out to be there.
    unknown_and_there,
    /// An operation without an answer turned out not to be there.
    unknown_and_gone,
    /// A key was asked again, and got the answer that it had got before.
    answered_again,
    /// A key whose first outcome was unknown got its answer later.
    resolved_later,
    /// A command was refused because the journal could not be written.
    refused_read_only,
    /// A handler panicked.
    panicked,
    /// A command was rejected.
    rejected,
    /// Several submissions waited for the disk at once.
    many_in_flight,
    /// Several of them became one commit.
    committed_together,
    /// There was no room for a command.
    overloaded,
    /// The deadline of a command came before its turn.
    expired,
    /// A command met a cell that was set aside.
    refused_set_aside,
    /// A cell that was set aside was let go again.
    released,
    /// A cell was recovered from a snapshot and later events.
    snapshot_with_tail,
    /// A crash took snapshots back.
    snapshot_lost,
    /// A row of the snapshots was damaged.
    snapshot_damaged,
    /// A damaged snapshot was passed over.
    snapshot_passed_over,
    /// Actors in memory that had been through all of it were compared with their replays.
    compared_live,
    /// A timer fired after the node had been opened again since it was set.
    rang_after_reopening,
    /// An effect ran more than once.
    effect_ran_again,
    /// An effect that must not run twice was cut off.
    effect_was_cut_off,
    /// An attempt was cut off in the middle.
    attempt_was_cut_off,
    /// The world was asked what became of an attempt.
    reconciled,
    /// A message was taken after the node had been opened again since it was sent.
    taken_after_reopening,
    /// A message came back.
    message_came_back,
    /// More messages waited for a receiver than it has in memory.
    beyond_the_window,
    /// The wall clock jumped.
    clock_jumped,
    /// A timer fired after the wall clock had jumped since it was set.
    rang_after_a_jump,
    /// A timer was cancelled or replaced before it fired.
    cancelled,
    /// A timer fired that follows the wall clock.
    rang_by_the_wall,
    /// Actors left memory.
    passivated,
    /// A query was answered while a commit was held.
    looked_while_held,
}

impl Sometimes {
    /// What was never reached.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let all = self.all().into_iter();
        all.filter(|(_, count)| *count == 0)
            .map(|(name, _)| name)
            .collect()
    }
}

impl fmt::Display for Sometimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.all() {
            writeln!(f, "  {:<24} {count}", name.replace('_', " "))?;
        }
        Ok(())
    }
}
