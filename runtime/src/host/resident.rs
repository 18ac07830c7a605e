//! An actor in memory: the user's state and what the runtime keeps beside it.

use std::any::Any;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};
use steadfast_journal::ActorId;

use crate::core::{Clocks, Core, KeyLimits, Moment, SavedCore};
use crate::model::{StatefulActor, Timestamp};

/// A resident actor of any kind.
pub(crate) trait Resident: Any + Send {
    fn core(&self) -> &Core;
    fn core_mut(&mut self) -> &mut Core;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn state_version(&self) -> u32;

    /// The whole actor as the bytes of a snapshot.
    fn save(&self, clocks: Clocks) -> Result<Vec<u8>, rmp_serde::encode::Error>;

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
    moment: Moment,
}

/// The same bytes when they are read: the state is decoded where it lies.
#[derive(Deserialize)]
struct Found<'a> {
    taken_at: Timestamp,
    core: SavedCore,
    #[serde(borrow)]
    state: &'a Bytes,
    /// Earlier versions have none.
    #[serde(default)]
    moment: Option<Moment>,
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
        age: impl FnOnce(Timestamp, Option<Moment>) -> Duration,
    ) -> Result<Self, rmp_serde::decode::Error> {
        let found: Found<'_> = rmp_serde::from_slice(bytes)?;
        let state = rmp_serde::from_slice(found.state)?;
        let mut core = Core::new(limits);
        let age = age(found.taken_at, found.moment);
        core.restore(found.core, running, age);
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

    fn save(&self, clocks: Clocks) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let state = rmp_serde::to_vec_named(&self.state)?.into();
        rmp_serde::to_vec(&Saved {
            taken_at: clocks.now,
            core: self.core.save(clocks.running),
            state,
            moment: clocks.into(),
        })
    }

    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BootId;

    /// Snapshots of versions that did not keep the moment.
    #[test]
    fn snapshots_without_a_moment_are_read() {
        let limits = KeyLimits {
            count: 1,
            time: Duration::from_secs(1),
        };
        let core = || Core::new(limits).save(Duration::ZERO);
        let (taken_at, state) = (Timestamp::from_micros(7), ByteBuf::from(vec![1, 2]));
        let old = rmp_serde::to_vec(&(taken_at, core(), state.clone())).unwrap();
        let found: Found<'_> = rmp_serde::from_slice(&old).unwrap();
        assert_eq!((found.taken_at, found.moment), (taken_at, None));
        assert_eq!(found.state.as_ref(), [1, 2]);
        let moment = Moment::from(Clocks {
            now: taken_at,
            running: Duration::from_millis(1_500),
            boot: BootId::from_u128(u128::MAX - 1),
        });
        let new = rmp_serde::to_vec(&Saved {
            taken_at,
            core: core(),
            state,
            moment,
        });
        let new = new.unwrap();
        let found: Found<'_> = rmp_serde::from_slice(&new).unwrap();
        assert_eq!(found.moment, Some(moment));
    }
}
