//! Ready-made actors for [`steadfast`]: the automation concerns that the node agent runs, for embedders
//! too.
//!
//! * [`concern`]: what all concerns share: schedule, runs, pause, and their commands;
//! * [`cleanup`]: removes old files within limits;
//! * [`exec`]: runs a program, ends all that comes from it, and says when it does not know how it went;
//! * `patrol` (feature `http`): checks HTTP targets, and tells a webhook about alerts;
//! * [`human`]: sizes and durations as people write them.
//!
//! Each works on any node:
//!
//! ```
//! use steadfast::Node;
//! use steadfast_actors::cleanup::{self, Cleanup, CleanupConfig};
//! use steadfast_actors::concern::{Configure, Describe, SPACE, Trigger};
//!
//! let node = cleanup::register(Node::in_memory()).start_blocking()?;
//! node.block_on(async {
//!     let tidy = node.actor_in::<Cleanup>(SPACE, "tidy");
//!     // The keys are those of the config file.
//!     let config: CleanupConfig = serde_json::from_value(serde_json::json!({
//!         "paths": ["/var/log/no-such-app/*.log"], "older_than": "7d", "every": "1h",
//!     }))?;
//!     tidy.ask(Configure(config)).await?;
//!     let by = "the documentation".to_owned();
//!     let run = tidy.ask(Trigger { dry_run: true, by }).await?.run;
//!     let view = tidy.ask(Describe {}).await?;
//!     assert_eq!((view.runs, view.next_run.is_some()), (1, true));
//!     # let _ = run;
//!     # Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[doc(hidden)]
pub mod fuzzing;
pub mod human;

pub mod concern;

pub mod cleanup;

pub mod exec;
#[cfg(feature = "http")]
pub mod patrol;
