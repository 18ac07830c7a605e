//! The node's actix system: a thread of its own, and one arbiter thread for each worker.
//!
//! An embedder may run inside tokio, inside another actix system or in a plain `main`: none of it is
//! touched, because actix finds its system by thread.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use actix::{Actor, Arbiter, System};
use actix_rt::SystemRunner;

use super::Shared;
use crate::error::NodeError;
use crate::worker::{Inputs, Worker};

/// The running system.
pub(super) struct WorkerThreads {
    system: System,
    thread: Option<JoinHandle<()>>,
}

impl WorkerThreads {
    pub(super) fn start(shared: &Arc<Shared>, inputs: Vec<Inputs>) -> Result<Self, NodeError> {
        let (ready, is_ready) = sync_channel(1);
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name("steadfast-system".to_owned())
            .spawn(move || {
                let begun = new_system().and_then(|runner| {
                    let arbiters = start_workers(&shared, inputs)?;
                    Ok((runner, arbiters))
                });
                drop(shared);
                let (runner, arbiters) = match begun {
                    Ok(begun) => begun,
                    // Whoever starts the node waits for exactly this message, or the other one.
                    Err(error) => return drop(ready.send(Err(error))),
                };
                drop(ready.send(Ok(System::current())));
                if let Err(error) = runner.run() {
                    tracing::error!(%error, "the actix system ended with an error");
                }
                stop(arbiters);
            })
            .map_err(NodeError::Thread)?;
        let system = is_ready.recv().map_err(|_| NodeError::Stopped)?;
        let system = system.map_err(NodeError::Thread)?;
        Ok(Self {
            system,
            thread: Some(thread),
        })
    }

    /// Ends the system and waits for its threads.
    pub(super) fn stop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the system thread panicked");
        }
    }
}

/// A system on a runtime made here: its own way of making one panics where the process has no files left.
fn new_system() -> io::Result<SystemRunner> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(System::with_tokio_rt(|| runtime))
}

/// All of them or none.
fn start_workers(shared: &Arc<Shared>, inputs: Vec<Inputs>) -> io::Result<Vec<Arbiter>> {
    let mut arbiters = Vec::with_capacity(inputs.len());
    for (index, inputs) in inputs.into_iter().enumerate() {
        let arbiter = match Arbiter::try_new() {
            Ok(arbiter) => arbiter,
            Err(error) => {
                stop(arbiters);
                return Err(error);
            }
        };
        let shared = Arc::clone(shared);
        let started = arbiter.spawn_fn(move || {
            Worker::new(shared, index, inputs).start();
        });
        if !started {
            tracing::error!(index, "a worker's thread ended before its worker started");
        }
        arbiters.push(arbiter);
    }
    Ok(arbiters)
}

fn stop(arbiters: Vec<Arbiter>) {
    for arbiter in arbiters {
        arbiter.stop();
        if arbiter.join().is_err() {
            tracing::error!("a worker thread panicked");
        }
    }
}
