//! Storing snapshots off the workers: one thread, a bounded queue, and a flush when there is a pause.
//!
//! A snapshot that finds the queue full is dropped: it costs replay time, no data.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use steadfast_snapshots::{Snapshot, SnapshotStore};

/// Snapshots that may wait.
const QUEUE: usize = 256;
/// Snapshots after which the store is flushed even without a pause.
const FLUSH_EVERY: u32 = 1_000;
/// A pause.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the thread, and the store for reading.
pub(crate) struct SnapshotSink {
    /// `None` once closed: whoever keeps an `ActorRef` does not keep the directory.
    store: RwLock<Option<Arc<SnapshotStore>>>,
    /// `None` once closed: dropping it ends the thread.
    queue: Mutex<Option<SyncSender<Snapshot>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether snapshots are stored at once, by whoever takes them: in simulations.
    at_once: bool,
}

impl SnapshotSink {
    pub(super) fn start(store: Arc<SnapshotStore>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Arc::clone(&store);
        let thread = std::thread::Builder::new()
            .name("steadfast-snapshots".to_owned())
            .spawn(move || write(&writer, &receiver))?;
        Ok(Self {
            store: RwLock::new(Some(store)),
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            at_once: false,
        })
    }

    /// A sink without a thread, for a simulation.
    pub(super) fn at_once(store: Arc<SnapshotStore>) -> Self {
        Self {
            store: RwLock::new(Some(store)),
            queue: Mutex::default(),
            thread: Mutex::default(),
            at_once: true,
        }
    }

    /// The store for reading; `None` once closed.
    pub(crate) fn reader(&self) -> Option<Arc<SnapshotStore>> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone()
    }

    /// Queues a snapshot; false if it was dropped.
    pub(super) fn store(&self, snapshot: Snapshot) -> bool {
        if self.at_once {
            return self.reader().is_some_and(|store| put(&store, &snapshot));
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue
            .as_ref()
            .is_some_and(|queue| queue.try_send(snapshot).is_ok())
    }

    /// Stores what waits, flushes, ends the thread, and lets go of the store.
    pub(super) fn close(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the snapshot thread panicked");
        }
        self.store
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

fn write(store: &SnapshotStore, queue: &Receiver<Snapshot>) {
    let mut unflushed = 0;
    loop {
        match queue.recv_timeout(PAUSE) {
            Ok(snapshot) => {
                put(store, &snapshot);
                unflushed += 1;
                if unflushed >= FLUSH_EVERY {
                    flush(store, &mut unflushed);
                }
            }
            Err(RecvTimeoutError::Timeout) => flush(store, &mut unflushed),
            Err(RecvTimeoutError::Disconnected) => return flush(store, &mut unflushed),
        }
    }
}

/// False if it could not be stored.
fn put(store: &SnapshotStore, snapshot: &Snapshot) -> bool {
    let stored = store.put(snapshot);
    if let Err(error) = &stored {
        tracing::warn!(%error, "a snapshot was not stored; recovery will replay more");
    }
    stored.is_ok()
}

fn flush(store: &SnapshotStore, unflushed: &mut u32) {
    if *unflushed > 0
        && let Err(error) = store.flush()
    {
        tracing::warn!(%error, "snapshots were not flushed; recovery will replay more");
    }
    *unflushed = 0;
}
