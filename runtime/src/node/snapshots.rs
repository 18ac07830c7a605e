//! Storing snapshots off the workers: one thread, a bounded queue, and a flush when there is a pause.
//!
//! Invariant: snapshots in memory are bounded by count and by bytes, from the moment they are taken, behind commits
//! that are not durable yet, until they are stored. One that finds no room is not kept: it costs replay time, no
//! data. Only the orderly end of a node waits for room.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use steadfast_snapshots::{Snapshot, SnapshotStore};

/// Snapshots that may be in memory.
const MOST: usize = 256;
/// Their bytes. A larger one is let in alone.
const MOST_BYTES: usize = 64 << 20;
/// Snapshots after which the store is flushed even without a pause.
const FLUSH_EVERY: u32 = 1_000;
/// A pause.
const PAUSE: Duration = Duration::from_secs(1);

/// How much room there is.
struct Space {
    held: Mutex<Held>,
    /// Some was given back, or nobody is to wait any more.
    news: Condvar,
}

struct Held {
    count: usize,
    bytes: usize,
    /// Whether one may wait for room.
    patient: bool,
}

impl Held {
    fn is_full(&self) -> bool {
        self.count >= MOST || self.bytes >= MOST_BYTES
    }

    fn has_room(&self, bytes: usize) -> bool {
        let fits = self.bytes.saturating_add(bytes) <= MOST_BYTES;
        self.count < MOST && (fits || self.count == 0)
    }
}

impl Space {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::new(Held {
                count: 0,
                bytes: 0,
                patient: true,
            }),
            news: Condvar::new(),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(self: &Arc<Self>, bytes: usize, waits: bool) -> Option<Room> {
        let mut held = self.held();
        while !held.has_room(bytes) {
            if !waits || !held.patient {
                return None;
            }
            let woken = self.news.wait(held);
            held = woken.unwrap_or_else(PoisonError::into_inner);
        }
        held.count += 1;
        held.bytes += bytes;
        Some(Room {
            space: Arc::clone(self),
            bytes,
        })
    }

    fn hurry(&self) {
        self.held().patient = false;
        self.news.notify_all();
    }
}

/// Room for one snapshot, which goes with it. Dropping it gives it back.
pub(crate) struct Room {
    space: Arc<Space>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.space.held();
        held.count -= 1;
        held.bytes -= self.bytes;
        drop(held);
        self.space.news.notify_all();
    }
}

/// A snapshot on its way to the thread.
type Queued = (Snapshot, Room);

/// The way to the thread, and the store for reading.
pub(crate) struct SnapshotSink {
    /// `None` once closed: whoever keeps an `ActorRef` does not keep the directory.
    store: RwLock<Option<Arc<SnapshotStore>>>,
    /// `None` once closed: dropping it ends the thread.
    queue: Mutex<Option<SyncSender<Queued>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether snapshots are stored at once, by whoever takes them: in simulations.
    at_once: bool,
    space: Arc<Space>,
}

impl SnapshotSink {
    pub(super) fn start(store: Arc<SnapshotStore>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(MOST);
        let writer = Arc::clone(&store);
        let thread = std::thread::Builder::new()
            .name("steadfast-snapshots".to_owned())
            .spawn(move || write(&writer, &receiver))?;
        Ok(Self {
            store: RwLock::new(Some(store)),
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            at_once: false,
            space: Space::new(),
        })
    }

    /// A sink without a thread, for a simulation.
    pub(super) fn at_once(store: Arc<SnapshotStore>) -> Self {
        Self {
            store: RwLock::new(Some(store)),
            queue: Mutex::default(),
            thread: Mutex::default(),
            at_once: true,
            space: Space::new(),
        }
    }

    /// The store for reading; `None` once closed.
    pub(crate) fn reader(&self) -> Option<Arc<SnapshotStore>> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone()
    }

    /// Whether there is no room at the moment, however small a snapshot is.
    pub(super) fn is_full(&self) -> bool {
        self.space.held().is_full()
    }

    /// Room for a snapshot of so many bytes, if there is any. Who `waits` gets it when there is, or is told that
    /// nobody is to wait any more.
    pub(super) fn room(&self, bytes: usize, waits: bool) -> Option<Room> {
        self.space.room(bytes, waits)
    }

    pub(super) fn is_patient(&self) -> bool {
        self.space.held().patient
    }

    /// From now on nobody waits for room.
    pub(super) fn hurry(&self) {
        self.space.hurry();
    }

    /// Queues a snapshot; false if it was dropped.
    pub(super) fn store(&self, snapshot: Snapshot, room: Room) -> bool {
        if self.at_once {
            return self.reader().is_some_and(|store| put(&store, &snapshot));
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue
            .as_ref()
            .is_some_and(|queue| queue.try_send((snapshot, room)).is_ok())
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

fn write(store: &SnapshotStore, queue: &Receiver<Queued>) {
    let mut unflushed = 0;
    loop {
        match queue.recv_timeout(PAUSE) {
            Ok((snapshot, room)) => {
                put(store, &snapshot);
                drop(snapshot);
                drop(room);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: the queue was bounded by count alone, so that 256 states of 50 MB were 12 GB.
    #[test]
    fn snapshots_are_bounded_by_bytes() {
        let space = Space::new();
        let large = space.room(MOST_BYTES / 2, false);
        let rest = space.room(MOST_BYTES / 2, false);
        assert!(large.is_some() && rest.is_some() && space.held().is_full());
        assert!(space.room(1, false).is_none());
        drop(large);
        assert!(space.room(MOST_BYTES / 2 + 1, false).is_none());
        assert!(space.room(MOST_BYTES / 2, false).is_some());
        drop(rest);
        let alone = space.room(MOST_BYTES + 1, false);
        assert!(alone.is_some(), "a state of any size is let in alone");
        assert!(space.room(0, false).is_none());
        drop(alone);
        let held = space.held();
        assert_eq!((held.count, held.bytes), (0, 0));
    }

    #[test]
    fn snapshots_are_bounded_by_count() {
        let space = Space::new();
        let rooms: Vec<_> = (0..MOST).map_while(|_| space.room(1, false)).collect();
        assert_eq!(rooms.len(), MOST);
        assert!(space.held().is_full() && space.room(0, false).is_none());
    }

    #[test]
    fn who_waits_gets_room_or_is_told_to_hurry() {
        let space = Space::new();
        let all = space.room(MOST_BYTES, false).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| space.room(1, true).map(drop));
            drop(all);
            assert!(waits.join().unwrap().is_some());
        });
        let _all = space.room(MOST_BYTES, false).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| space.room(1, true).map(drop));
            space.hurry();
            assert!(waits.join().unwrap().is_none());
        });
    }
}
