//! The trait of readers for the two types that keep a [`Reads`](crate::reads::Reads): the open journal and the
//! read-only one. A file of its own because it is only plumbing.

/// Implements `JournalReader` for a type that keeps its `Reads` in a field `reads`.
macro_rules! delegate_reads {
    ($type:ty) => {
        impl $crate::journal::JournalReader for $type {
            fn head(&self) -> Option<$crate::journal::Head> {
                self.reads.head()
            }

            fn contains(
                &self,
                history: $crate::ids::HistoryId,
                commit: $crate::ids::CommitIndex,
            ) -> bool {
                self.reads.contains(history, commit)
            }

            fn actor(
                &self,
                id: &$crate::ids::ActorId,
            ) -> Result<Option<$crate::journal::ActorRow>, $crate::error::Error> {
                self.reads.actor(id)
            }

            fn actors(
                &self,
                after: Option<&$crate::ids::ActorId>,
                limit: usize,
            ) -> Result<Vec<$crate::journal::ActorRow>, $crate::error::Error> {
                self.reads.actors(after, limit)
            }

            fn actors_in(
                &self,
                space: &str,
                after: Option<&$crate::ids::ActorId>,
                limit: usize,
            ) -> Result<Vec<$crate::journal::ActorRow>, $crate::error::Error> {
                self.reads.actors_in(space, after, limit)
            }

            fn last_entry(
                &self,
                actor: $crate::ids::ActorNumber,
            ) -> Result<Option<$crate::entry::StoredEntry>, $crate::error::Error> {
                self.reads.last_entry(actor)
            }

            fn entries(
                &self,
                actor: $crate::ids::ActorNumber,
                from: $crate::ids::EntryNumber,
            ) -> $crate::journal::Entries<'_> {
                self.reads.entries(actor, from)
            }

            fn visit_entries(
                &self,
                actor: $crate::ids::ActorNumber,
                from: $crate::ids::EntryNumber,
                show: &mut $crate::journal::ShowEntry<'_>,
            ) -> Result<(), $crate::error::Error> {
                self.reads.visit_entries(actor, from, show)
            }

            fn entries_from_event(
                &self,
                actor: $crate::ids::ActorNumber,
                seq: $crate::ids::SequenceNumber,
            ) -> $crate::journal::Entries<'_> {
                self.reads.entries_from_event(actor, seq)
            }

            fn commits(&self, from: $crate::ids::CommitIndex) -> $crate::journal::Commits<'_> {
                self.reads.commits(from)
            }

            fn rows(
                &self,
                table: $crate::journal::Table,
                after: Option<&[u8]>,
                limit: usize,
            ) -> Result<Vec<$crate::journal::Row>, $crate::error::Error> {
                self.reads.rows(table, after, limit)
            }

            fn verify(&self) -> Result<$crate::journal::VerifyReport, $crate::error::Error> {
                self.reads.verify()
            }
        }
    };
}
pub(crate) use delegate_reads;
