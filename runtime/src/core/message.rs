//! Messages between actors: what the outbox keeps of them.
//!
//! Invariant: a message is a row of the outbox from the commit that sent it to the commit in which its
//! receiver took it. Rows of one receiver stand together, those of one sender among them in the order in
//! which they were sent.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast_journal::{ActorId, ActorNumber};

/// Names one message on the node: where it stands in its sender's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct MessageId {
    pub(crate) from: ActorNumber,
    pub(crate) entry: u64,
    pub(crate) index: u32,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) from: ActorId,
    pub(crate) from_kind: String,
    pub(crate) to: ActorId,
    pub(crate) to_kind: String,
    pub(crate) command: String,
    pub(crate) body: ByteBuf,
    /// For a command that comes back to its sender: why.
    pub(crate) rejection: Option<ByteBuf>,
    /// `ACTOR@SEQ` of what sent it.
    pub(crate) cause: Option<String>,
}

impl Message {
    /// What it takes in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        256 + self.body.len() + self.rejection.as_ref().map_or(0, |body| body.len())
    }
}

/// What the keys of all rows for one receiver begin with. A name has no control characters, so that
/// none is the beginning of another one with its end mark.
pub(crate) fn outbox_prefix(to: &ActorId) -> Vec<u8> {
    let name = to.as_str().as_bytes();
    let mut key = Vec::with_capacity(name.len() + 21);
    key.extend(name);
    key.push(0);
    key
}

/// The key of a row.
pub(crate) fn outbox_key(to: &ActorId, id: MessageId) -> Vec<u8> {
    let mut key = outbox_prefix(to);
    key.extend(id.from.get().to_be_bytes());
    key.extend(id.entry.to_be_bytes());
    key.extend(id.index.to_be_bytes());
    key
}
