//! Positions and names as types, so that an entry number is never taken for a commit index.
//!
//! Every number starts at 1; "before the first" is `None` or a plain `0` in a field that says so.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! position {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The first position.
            pub const FIRST: Self = Self(NonZeroU64::MIN);

            /// The position `value`, or `None` for 0, which is not a position.
            #[must_use]
            pub const fn new(value: u64) -> Option<Self> {
                match NonZeroU64::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The position that follows, or `None` when 2^64 - 1 is reached.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                match self.0.checked_add(1) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The position after `previous`, where `None` stands for "nothing yet".
            #[must_use]
            pub const fn after(previous: Option<Self>) -> Option<Self> {
                match previous {
                    Some(previous) => previous.next(),
                    None => Some(Self::FIRST),
                }
            }

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

position!(
    /// Place of an event within one actor, from 1, without gaps.
    SequenceNumber
);
position!(
    /// Place of an entry (one command that changed something) within one actor, from 1, without gaps.
    EntryNumber
);
position!(
    /// Place of a group commit in the order of the whole node, from 1, without gaps.
    CommitIndex
);
position!(
    /// Short stand-in for an [`ActorId`] in keys; given once, never reused; gaps are possible.
    ActorNumber
);
position!(
    /// How often the directory was opened for writing; each opening commits the next one.
    Epoch
);

/// Which timeline a directory follows: drawn at creation, and anew at restore, fork or accepted loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HistoryId(uuid::Uuid);

impl HistoryId {
    /// A new timeline.
    #[must_use]
    pub fn draw() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The identifier from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the identifier.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for HistoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Durable name of an actor: `SPACE/KEY`.
///
/// The space defaults to the actor's kind; it holds 1 to 64 characters of `a-z 0-9 . _ -`.
/// The key holds 1 to 512 bytes of any text without control characters; it may contain `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActorId {
    text: Arc<str>,
    space_len: u8,
}

/// Longest space of an [`ActorId`], in bytes.
pub const MAX_SPACE_BYTES: usize = 64;
/// Longest key of an [`ActorId`], in bytes.
pub const MAX_KEY_BYTES: usize = 512;

impl ActorId {
    /// The name `space/key`.
    ///
    /// # Errors
    /// [`InvalidActorId`] says which part breaks which rule.
    pub fn new(space: &str, key: &str) -> Result<Self, InvalidActorId> {
        let valid = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
        let space_len = u8::try_from(space.len()).unwrap_or(u8::MAX);
        if space.is_empty() || space.len() > MAX_SPACE_BYTES || !space.chars().all(valid) {
            return Err(InvalidActorId::Space {
                space: space.to_owned(),
            });
        }
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(InvalidActorId::KeyLength { bytes: key.len() });
        }
        if key.chars().any(char::is_control) {
            return Err(InvalidActorId::KeyCharacter {
                key: key.escape_debug().to_string(),
            });
        }
        Ok(Self {
            text: format!("{space}/{key}").into(),
            space_len,
        })
    }

    /// The part before the first `/`.
    #[must_use]
    pub fn space(&self) -> &str {
        self.text
            .get(..usize::from(self.space_len))
            .unwrap_or_default()
    }

    /// The part after the first `/`.
    #[must_use]
    pub fn key(&self) -> &str {
        self.text
            .get(usize::from(self.space_len) + 1..)
            .unwrap_or_default()
    }

    /// The whole name, `SPACE/KEY`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ActorId {
    type Err = InvalidActorId;

    fn from_str(text: &str) -> Result<Self, InvalidActorId> {
        let (space, key) = text
            .split_once('/')
            .ok_or_else(|| InvalidActorId::NoSlash {
                text: text.escape_debug().to_string(),
            })?;
        Self::new(space, key)
    }
}

impl TryFrom<String> for ActorId {
    type Error = InvalidActorId;

    fn try_from(text: String) -> Result<Self, InvalidActorId> {
        text.parse()
    }
}

impl From<ActorId> for String {
    fn from(id: ActorId) -> Self {
        id.as_str().to_owned()
    }
}

/// Why a text is not an [`ActorId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidActorId {
    /// There is no `/`.
    #[error("actor name {text:?} has no '/': write SPACE/KEY")]
    NoSlash {
        /// What was given.
        text: String,
    },
    /// The space is empty, too long or has other characters.
    #[error("space {space:?} of an actor name must be 1 to 64 characters of a-z 0-9 . _ -")]
    Space {
        /// What was given.
        space: String,
    },
    /// The key is empty or too long.
    #[error("key of an actor name has {bytes} bytes: 1 to 512 are allowed")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// The key has a control character.
    #[error("key {key:?} of an actor name has a control character")]
    KeyCharacter {
        /// The key, escaped.
        key: String,
    },
}
