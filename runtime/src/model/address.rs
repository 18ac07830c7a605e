//! Names of actors that carry their kind.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use steadfast_journal::{ActorId, InvalidActorId};

use super::StatefulActor;

/// The serialisable name of an actor of kind `A`: may stand in commands, events and states.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// use steadfast::Address;
///
/// let alice = Address::<Account>::of("alice")?;
/// assert_eq!(serde_json::to_string(&alice)?, r#""account/alice""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address<A> {
    id: ActorId,
    #[serde(skip)]
    kind: PhantomData<fn() -> A>,
}

impl<A> Address<A> {
    /// The actor's name.
    #[must_use]
    pub const fn id(&self) -> &ActorId {
        &self.id
    }
}

impl<A> From<ActorId> for Address<A> {
    fn from(id: ActorId) -> Self {
        Self {
            id,
            kind: PhantomData,
        }
    }
}

impl<A> Clone for Address<A> {
    fn clone(&self) -> Self {
        self.id.clone().into()
    }
}

impl<A> PartialEq for Address<A> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<A> Eq for Address<A> {}

impl<A> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.id)
    }
}

impl<A: StatefulActor> Address<A> {
    /// The actor of kind `A` with this key, in the space that is named like the kind.
    ///
    /// # Errors
    /// [`InvalidActorId`] says what is wrong with the key.
    pub fn of(key: &str) -> Result<Self, InvalidActorId> {
        ActorId::new(A::KIND, key).map(Self::from)
    }
}

impl<A> fmt::Display for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
