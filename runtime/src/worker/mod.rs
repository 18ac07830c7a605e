//! Workers: each is an actix actor on a thread of its own and owns a share of the actors.
//!
//! Inputs come in three streams, so that none can hide behind another: what became durable, control,
//! and commands. Everything a worker owns is touched by its own thread only.

mod batch;
mod claim;
mod deliver;
mod firing;
mod inbox;
mod inboxes;
mod input;
mod latch;
mod look;
mod quarantine;
mod ready;
mod recoveries;
mod residency;
mod round;
mod run;
mod slot;
mod slots;
mod slow;
mod supervise;
mod tally;
mod timers;
mod trouble;
mod turn;
mod view;

use crate::host::Priority;

pub(crate) use batch::Taken;
pub(crate) use claim::Claim;
pub(crate) use input::{
    Answer, Control, Deadline, Envelope, Inputs, Internal, MailNews, Target, WorkerPort, ports,
};
pub(crate) use look::{Report, Seen};
pub(crate) use quarantine::{SkipBegun, SkipEvent, Supervise};
pub(crate) use ready::Ready;
pub(crate) use run::Worker;
pub(crate) use slot::ActorStatus;
pub(crate) use view::Looked;
