//! The node's actix system: a thread of its own, and one arbiter thread for each worker.
//!
//! An embedder may run inside tokio, inside another actix system or in a plain `main`: none of it is
//! touched, because actix finds its system by thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use actix::{Actor, Arbiter, System};

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
                let runner = System::new();
                let arbiters = start_workers(&shared, inputs);
                // Whoever starts the node waits for exactly this message.
                drop(ready.send(System::current()));
                drop(shared);
                if let Err(error) = runner.run() {
                    tracing::error!(%error, "the actix system ended with an error");
                }
                stop(arbiters);
            })
            .map_err(NodeError::Thread)?;
        let system = receive(&is_ready)?;
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

fn receive(is_ready: &Receiver<System>) -> Result<System, NodeError> {
    is_ready.recv().map_err(|_| NodeError::Stopped)
}

fn start_workers(shared: &Arc<Shared>, inputs: Vec<Inputs>) -> Vec<Arbiter> {
    let mut arbiters = Vec::with_capacity(inputs.len());
    for (index, inputs) in inputs.into_iter().enumerate() {
        let arbiter = Arbiter::new();
        let shared = Arc::clone(shared);
        let started = arbiter.spawn_fn(move || {
            Worker::new(shared, index, inputs).start();
        });
        if !started {
            tracing::error!(index, "a worker's thread ended before its worker started");
        }
        arbiters.push(arbiter);
    }
    arbiters
}

fn stop(arbiters: Vec<Arbiter>) {
    for arbiter in arbiters {
        arbiter.stop();
        if arbiter.join().is_err() {
            tracing::error!("a worker thread panicked");
        }
    }
}
