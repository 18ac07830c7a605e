//! Recoveries on their way to their threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::{SWITCHES, explore, spawn};

/// A class of work, as `worker/ready.rs` knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    High,
    Normal,
    Low,
}

#[path = "../../runtime/src/worker/ready.rs"]
#[expect(dead_code, reason = "the worker uses more of it than the flow does")]
mod ready;

#[path = "../../runtime/src/node/flow.rs"]
mod source;

use ready::Ready;
use source::{Flow, UnderWay};

/// Room for one piece of work that has begun.
const ROOM: usize = 1;
/// Pieces of work that are there in all.
const PIECES: usize = 2;

/// A piece of work that takes up all room until it is settled.
struct Piece {
    total: Arc<AtomicUsize>,
    cancelled: AtomicUsize,
}

impl UnderWay for Piece {
    fn settle(&self) {
        self.total.fetch_sub(ROOM, Ordering::AcqRel);
    }

    fn cancel(&self) {
        self.cancelled.fetch_add(1, Ordering::AcqRel);
    }
}

type Numbers = Flow<usize, Piece>;

fn flow() -> Arc<Numbers> {
    Arc::new(Flow::new(ROOM, None))
}

/// Does all work until the end, and tells `done` of each; what it did, added up.
fn work(flow: &Arc<Numbers>, done: impl Fn()) -> usize {
    let mut sum = 0;
    while let Some(number) = flow.next() {
        let piece = Arc::new(Piece {
            total: Arc::clone(flow.bytes()),
            cancelled: AtomicUsize::new(0),
        });
        let Some(held) = Flow::begin(flow, &piece) else {
            break;
        };
        flow.bytes().fetch_add(ROOM, Ordering::AcqRel);
        sum += number;
        drop(held);
        done();
    }
    sum
}

#[test]
fn every_piece_of_work_is_done_once_and_nobody_waits_for_ever() {
    explore("work", Some(SWITCHES + 1), || {
        let flow = flow();
        let (tell, told) = sync_channel(PIECES);
        let worker = {
            let flow = Arc::clone(&flow);
            // The other one may have taken both, and then it waits until the end.
            spawn(move || work(&flow, || tell.send(()).unwrap()))
        };
        flow.submit(Some(Priority::High), 1);
        flow.submit(None, 2);
        let (mut sum, mut left) = (0, PIECES);
        while let Some(number) = flow.try_next() {
            sum += number;
            left -= 1;
        }
        // What this thread did not take is the worker's: where nobody does it, this waits for ever, which is found.
        for _ in 0..left {
            told.recv().unwrap();
        }
        flow.close();
        assert_eq!(sum + worker.join().unwrap(), 3);
    });
}

#[test]
fn two_workers_share_what_there_is_and_both_end() {
    explore("two workers", Some(SWITCHES + 1), || {
        let flow = flow();
        let workers = [(); 2].map(|()| {
            let flow = Arc::clone(&flow);
            let one = move || {
                let number = flow.next()?;
                let total = Arc::clone(flow.bytes());
                let cancelled = AtomicUsize::new(0);
                let held = Flow::begin(&flow, &Arc::new(Piece { total, cancelled }))?;
                flow.bytes().fetch_add(ROOM, Ordering::AcqRel);
                drop(held);
                Some(number)
            };
            spawn(one)
        });
        flow.submit(Some(Priority::Normal), 1);
        flow.submit(Some(Priority::Low), 2);
        // Each takes one: whoever finds no room is woken by the other's end.
        let done = workers.map(|worker| worker.join().unwrap());
        assert_eq!(done.into_iter().flatten().sum::<usize>(), 3);
        assert_eq!(flow.bytes().load(Ordering::Acquire), 0);
    });
}

#[test]
fn the_end_reaches_those_who_wait_and_those_who_work() {
    explore("end", Some(SWITCHES + 1), || {
        let flow = flow();
        flow.submit(Some(Priority::Normal), 1);
        let worker = {
            let flow = Arc::clone(&flow);
            spawn(move || work(&flow, || ()))
        };
        let closer = {
            let flow = Arc::clone(&flow);
            spawn(move || flow.close())
        };
        closer.join().unwrap();
        assert!(worker.join().unwrap() <= 1);
        assert_eq!(flow.next(), None);
    });
}

/// The control: what holds in most orders only is found out. Work that waits is dropped by an end that comes first.
#[test]
#[should_panic(expected = "the end came first")]
fn an_order_that_is_rare_is_found() {
    explore("rare order", Some(SWITCHES + 1), || {
        let flow = flow();
        let closer = {
            let flow = Arc::clone(&flow);
            spawn(move || flow.close())
        };
        flow.submit(Some(Priority::Normal), 1);
        let done = flow.try_next();
        closer.join().unwrap();
        assert_eq!(done, Some(1), "the end came first");
    });
}
