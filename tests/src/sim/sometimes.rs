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
    /// A sync failed, and the node opened its journal again by itself.
    sync_failed,
    /// The disk was full.
    disk_was_full,
    /// A node whose disk is slow ended in order.
    disk_was_slow,
    /// Reading for a recovery failed.
    read_failed,
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
    /// Several commits waited for the disk at once.
    many_in_flight,
    /// A timer fired after the node had been opened again since it was set.
    rang_after_reopening,
    /// An effect ran more than once.
    effect_ran_again,
    /// An effect that must not run twice was cut off.
    effect_was_cut_off,
    /// A message was taken after the node had been opened again since it was sent.
    taken_after_reopening,
    /// A message came back.
    message_came_back,
    /// The wall clock jumped.
    clock_jumped,
    /// A timer fired after the wall clock had jumped since it was set.
    rang_after_a_jump,
    /// Actors left memory and were recovered.
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
