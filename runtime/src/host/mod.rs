//! One actor in memory, without its type: what a worker can do with it, and how commands find their
//! handlers.

mod execute;
mod fingerprint;
mod guard;
mod kind;
mod progress;
mod recover;
mod resident;
mod skip;
mod step;
mod typed;

pub(crate) use execute::{Answer, Exec, Ran, Source, Written, execute, write};
pub(crate) use guard::discard;
pub(crate) use kind::{
    CommandEntry, EffectEntry, KindEntry, KindNames, RawOutcome, RawReconciled, Registry,
};
pub use kind::{KindBuilder, Priority};
pub(crate) use progress::Progress;
pub(crate) use recover::{RecoverContext, Recovered, Unrecoverable, decode_operations};
pub(crate) use resident::{Host, Resident};
pub(crate) use skip::Skip;
pub(crate) use step::{EffectStep, Step, Stepped};
pub(crate) use typed::{Invoke, ReplyTo, Typed, give};
