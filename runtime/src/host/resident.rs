//! An actor in memory: the user's state and what the runtime keeps beside it.

use std::any::Any;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};
use steadfast_journal::ActorId;

use crate::core::{Core, KeyLimits, SavedCore};
use crate::model::{StatefulActor, Timestamp};

/// A resident actor of any kind.
pub(crate) trait Resident: Any + Send {
    fn core(&self) -> &Core;
    fn core_mut(&mut self) -> &mut Core;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn state_version(&self) -> u32;

    /// The whole actor as the bytes of a snapshot.
    fn save(&self, now: Timestamp, running: Duration) -> Result<Vec<u8>, rmp_serde::encode::Error>;

    /// The state as people and scripts are shown it.
    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error>;
}

/// A resident actor of kind `A`.
pub(crate) struct Host<A> {
    pub(crate) state: A,
    pub(crate) core: Core,
}

/// The bytes of a snapshot.
#[derive(Serialize)]
struct Saved {
    taken_at: Timestamp,
    core: SavedCore,
    state: ByteBuf,
}

/// The same bytes when they are read: the state is decoded where it lies.
#[derive(Deserialize)]
struct Found<'a> {
    taken_at: Timestamp,
    core: SavedCore,
    #[serde(borrow)]
    state: &'a Bytes,
}

impl<A: StatefulActor> Host<A> {
    pub(crate) fn fresh(id: &ActorId, limits: KeyLimits) -> Self {
        Self {
            state: A::new(id),
            core: Core::new(limits),
        }
    }

    /// Brings back what [`Resident::save`] wrote; `age` says how long ago that was. The caller sets the
    /// numbers.
    pub(crate) fn load(
        bytes: &[u8],
        limits: KeyLimits,
        running: Duration,
        age: impl FnOnce(Timestamp) -> Duration,
    ) -> Result<Self, rmp_serde::decode::Error> {
        let found: Found<'_> = rmp_serde::from_slice(bytes)?;
        let state = rmp_serde::from_slice(found.state)?;
        let mut core = Core::new(limits);
        core.restore(found.core, running, age(found.taken_at));
        Ok(Self { state, core })
    }
}

impl<A: StatefulActor> Resident for Host<A> {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn state_version(&self) -> u32 {
        A::STATE_VERSION
    }

    fn save(&self, now: Timestamp, running: Duration) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let state = rmp_serde::to_vec_named(&self.state)?.into();
        rmp_serde::to_vec(&Saved {
            taken_at: now,
            core: self.core.save(running),
            state,
        })
    }

    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(&self.state)
    }
}
