//! `http-patrol`: checks HTTP targets, and tells a webhook when one begins to fail and when it is well again;
//! no alert is lost or doubled, whenever the node is killed.
//!
//! # One run
//! ```text
//! started ─▶ check (effect: all targets) ─▶ check_failed, alerted, resolved… ─▶ finished
//!                                                     │ the same entry
//!                                                     └▶ notify (effect) ─▶ notified | notification_given_up
//! ```
//! * **A check is harmless**: one that a crash cut off is repeated, and only the repetition counts.
//! * **A transition and the request to tell it are one entry**: neither is there without the other.
//! * **A webhook is told at least once**, with the same `Idempotency-Key` however often; a receiver that
//!   drops keys it knows sees each transition exactly once.
//! * **A corrected `notify` holds at once**: what is under way is sent to the new address, with the same key, and
//!   the request to the old one counts for nothing any more, though its attempts go on.
//! * **Alert and end of one target come in that order**: a notification is sent when the one before it was
//!   answered or given up. At most eight wait; then the oldest that waits is given up, which is journalled.
//!
//! # What is stored
//! A run is two entries whatever it finds: `started`, with what is asked of each target (about 150 bytes
//! each and what is configured beyond the URL), and `finished`, with what each target answered (about 80
//! bytes each). Changes and notifications come on top. All of it is kept.
//!
//! # The notification
//! `POST` with the header `Idempotency-Key: "…"` and a body of JSON:
//! ```json
//! {"id": "…", "concern": "concern/shop", "target": "checkout", "url": "https://shop.example.com/checkout",
//!  "state": "alerting", "since": "2026-11-20T10:00:00.000000Z", "at": "2026-11-20T10:01:00.000000Z",
//!  "reason": "status: 503, not 200-399 (3 checks in a row)", "seq": 42, "reminder": false}
//! ```
//! `id` is the key without its quotes; `state` is `alerting` or `resolved`; `since` is when the first check of
//! the streak ended, `at` the one that decided; `seq` is the number of the event in the concern's journal, and
//! grows; `url` is null once the target is not configured any more.
//!
//! 2xx is taken for an answer; everything else is tried again until the attempts are used up. Redirects are
//! not followed.

mod actor;
mod board;
mod config;
mod effect;
mod event;
mod message;
mod probe;
mod query;
mod status;
mod web;

pub use actor::{Patrol, PatrolKind, register};
pub use board::{Board, Notice, NoticeState, TargetStatus};
pub use config::{Method, Notify, NotifyRetry, PatrolConfig, Target};
pub use effect::{Check, SendNotice};
pub use event::{
    Alerted, CheckFailed, NotificationGivenUp, Notified, PatrolEvent, Readdressed, Reminded,
    Report, Resolved,
};
pub use probe::{Checked, Failure, FailureKind, Probe};
pub use query::{TargetView, Targets};
pub use status::{InvalidStatus, StatusRange, StatusSet};
pub use web::Web;
