//! The programming model: what an embedder implements and what a handler may do.

mod actor;
mod address;
mod command;
mod cron;
mod effect;
mod event;
mod live;
mod message;
mod retry;
mod time;
mod timer;

pub use actor::{Handle, StatefulActor};
pub use address::Address;
pub use command::{Command, Never};
pub(crate) use cron::CronText;
pub use cron::{Cron, CronError};
pub use effect::{
    AfterCrash, Done, Effect, EffectClass, EffectContext, EffectError, EffectId, Outcome,
    Reconciled,
};
pub use event::{Event, EventError};
pub(crate) use live::Turn;
pub use live::{Fired, Live};
pub use message::Returned;
pub use retry::RetryPolicy;
pub(crate) use time::Start;
pub use time::{BootId, Clock, Sleep, SystemClock, Timestamp};
pub(crate) use timer::Schedule;
pub use timer::{CatchUp, Timer};
