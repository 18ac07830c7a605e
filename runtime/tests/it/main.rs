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
mod durability;
#[cfg(test)]
mod effects;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fragile;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod latch;
#[cfg(test)]
mod life;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod residency;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod supervision;
#[cfg(test)]
mod timers;
#[cfg(test)]
mod world;
