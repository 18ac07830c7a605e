//! A whole node, as an embedder sees it: one module for each property.
//!
//! Method: a probe actor that keeps notes and misbehaves on request, over a journal in memory that can
//! be paused and made to fail. Nothing sleeps in order to meet: handlers stop at gates, effects ask the
//! test what to do, time is moved by hand, and what happens on other threads is polled for.

#[cfg(test)]
mod asking;
#[cfg(test)]
mod backoff;
#[cfg(test)]
mod bank;
#[cfg(test)]
mod bell;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod effect_classes;
#[cfg(test)]
mod effects;
#[cfg(test)]
mod effects_window;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fragile;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod kit_effects;
#[cfg(test)]
mod kit_faults;
#[cfg(test)]
mod kit_sequences;
#[cfg(test)]
mod latch;
#[cfg(test)]
mod life;
#[cfg(test)]
mod look;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod messages_crash;
#[cfg(test)]
mod messages_pairs;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod pulse;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod residency;
#[cfg(test)]
mod skipping;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod supervision;
#[cfg(test)]
mod timers;
#[cfg(test)]
mod timers_clocks;
#[cfg(test)]
mod timers_model;
#[cfg(test)]
mod timers_policies;
#[cfg(test)]
mod timers_window;
#[cfg(test)]
mod world;
