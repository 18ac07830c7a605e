//! A full check beside a node that writes, step by step: the store does something in the middle of it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::conformance::Driver;
use crate::error::Error;
use crate::generation::{Foundation, Generation, OpenReportParts};
use crate::ids::{ActorNumber, HistoryId};
use crate::index::{Index, NoRuns};
use crate::journal::{Journal, JournalReader, Row, Storage, VerifyReport};
use crate::layout::{Past, actor_name_key, actor_number_key, actor_value, commit_key};
use crate::store::{Batch, Keyspace, Span, Store, Visit};
use crate::verify::MarkSource;
use crate::writer::Limits;

type Hook = Box<dyn FnMut() + Send>;
type Rows = BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>;

/// A store in memory that does something behind each scan, or behind each write.
#[derive(Default)]
struct Table {
    rows: Mutex<Rows>,
    /// Taken out while it runs, so that it may write itself.
    behind_scan: Mutex<Option<Hook>>,
    behind_write: Mutex<Option<Hook>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(hook: &Mutex<Option<Hook>>) {
    let taken = lock(hook).take();
    if let Some(mut run) = taken {
        run();
        lock(hook).get_or_insert(run);
    }
}

impl Table {
    fn within(&self, space: Keyspace, span: Span<'_>) -> Vec<Row> {
        let rows = lock(&self.rows);
        let from = Bound::Included((space, span.from.to_vec()));
        rows.range((from, Bound::Unbounded))
            .take_while(|((other, key), _)| {
                *other == space && span.to.is_none_or(|to| key.as_slice() < to)
            })
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }
}

impl Store for Table {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(lock(&self.rows).get(&(space, key.to_vec())).cloned())
    }

    fn scan(&self, space: Keyspace, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        for (key, value) in self.within(space, span) {
            if visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        run(&self.behind_scan);
        Ok(())
    }

    fn last(&self, space: Keyspace, span: Span<'_>) -> Result<Option<Row>, Error> {
        Ok(self.within(space, span).pop())
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn Batch)) -> Result<(), Error> {
        fill(&mut Changes(lock(&self.rows)));
        run(&self.behind_write);
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}

struct Changes<'a>(MutexGuard<'a, Rows>);

impl Batch for Changes<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) {
        self.0.insert((space, key.to_vec()), value.to_vec());
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) {
        self.0.remove(&(space, key.to_vec()));
    }
}

/// Opens one generation over the table.
struct Once(Arc<Table>);

impl Storage for Once {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        let foundation = Foundation {
            store: Arc::clone(&self.0) as Arc<dyn Store>,
            index: Arc::new(Index::new(Arc::new(NoRuns), usize::MAX)),
            past: Past::beginning(HistoryId::draw()),
            head: None,
            mark: None,
            mark_source: MarkSource::None,
            limits: Limits {
                group_bytes: 1 << 20,
                group_appends: 100,
                queue: 100,
            },
            flush_every: u64::MAX,
            hand: None,
        };
        let parts = OpenReportParts {
            wal_bytes: 0,
            verified_commits: 0,
            started: crate::clock::now(),
        };
        Ok(Arc::new(Generation::start(foundation, parts)?))
    }
}

/// A journal over a table, with `commits` commits of two actors.
fn written(commits: usize) -> (Arc<Table>, Driver) {
    let table = Arc::<Table>::default();
    let mut driver = Driver::new(Box::new(Once(Arc::clone(&table))));
    for n in 0..commits {
        driver.write(if n % 2 == 0 { "a" } else { "b" }, 1);
    }
    (table, driver)
}

#[track_caller]
fn found(journal: &dyn JournalReader) -> VerifyReport {
    let report = journal.verify().unwrap();
    assert!(!report.findings.is_empty());
    report
}

/// A full check of a node that wrote meanwhile told of damage: behind each look at the store there was more than in
/// the one before it.
#[test]
fn what_is_committed_meanwhile_is_left_out() {
    let (table, driver) = written(600);
    let journal = Arc::clone(driver.journal());
    let driver = Arc::new(Mutex::new(driver));
    let writer = Arc::clone(&driver);
    let mut births = 0;
    *lock(&table.behind_scan) = Some(Box::new(move || {
        births += 1;
        let mut driver = lock(&writer);
        driver.write("a", 1);
        driver.write(&format!("later-{births}"), 2);
    }));
    for round in 0..5 {
        let head = journal.head().unwrap().index.get();
        let report = journal.verify().unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
        assert_eq!(report.commits, head, "round {round}");
        // The commit that opened it has none.
        assert_eq!(report.entries, head - 1, "round {round}");
        assert!(journal.head().unwrap().index.get() > head + 4);
    }
    *lock(&table.behind_scan) = None;
    lock(&driver).check();
}

/// The same between the sync of a commit and its way into the index: its actor has a row, and no entry yet.
#[test]
fn an_actor_whose_birth_is_being_committed_is_left_out() {
    let (table, mut driver) = written(3);
    let journal = Arc::clone(driver.journal());
    let reports = Arc::<Mutex<Vec<VerifyReport>>>::default();
    let told = Arc::clone(&reports);
    *lock(&table.behind_write) = Some(Box::new(move || {
        lock(&told).push(journal.verify().unwrap());
    }));
    driver.write("c", 1);
    driver.write("a", 1);
    *lock(&table.behind_write) = None;
    for (report, commits) in lock(&reports).iter().zip([4, 5]) {
        assert_eq!(report.findings, Vec::<String>::new());
        assert_eq!(report.commits, commits);
    }
    assert_eq!(lock(&reports).len(), 2);
    driver.check();
}

/// A full check kept the store to itself from its beginning to its end: a node whose write failed meanwhile could not
/// open its journal again before that.
#[test]
fn a_close_ends_it() {
    let (table, driver) = written(600);
    let journal = Arc::clone(driver.journal());
    let own = Arc::clone(&journal);
    // Its end cannot be orderly: this index takes in no runs.
    *lock(&table.behind_scan) = Some(Box::new(move || drop(own.close())));
    assert!(matches!(journal.verify(), Err(Error::Closed)));
    *lock(&table.behind_scan) = None;
    drop(driver);
    assert_eq!(Arc::strong_count(&table), 1);
}

#[test]
fn damage_is_found_beside_a_writer() {
    let (table, mut driver) = written(600);
    let journal = Arc::clone(driver.journal());
    let row = journal.actor(&"test/a".parse().unwrap()).unwrap().unwrap();
    let head = journal.head().unwrap().index;
    let stray = ActorNumber::new(77).unwrap();
    let name = (Keyspace::Actors, actor_name_key(&row.id));
    let number = (Keyspace::Actors, actor_number_key(row.number).to_vec());
    let commit = (Keyspace::Commits, commit_key(head).to_vec());
    for key in [name, number.clone(), commit] {
        let value = lock(&table.rows).remove(&key).unwrap();
        found(&*journal);
        lock(&table.rows).insert(key, value);
    }
    for (key, value) in [
        (
            actor_name_key(&"test/stray".parse().unwrap()),
            actor_value(stray, "test"),
        ),
        (actor_number_key(stray).to_vec(), b"test/stray".to_vec()),
    ] {
        lock(&table.rows).insert((Keyspace::Actors, key.clone()), value);
        found(&*journal);
        lock(&table.rows).remove(&(Keyspace::Actors, key));
    }
    // In the middle of the chain.
    let commit = commit_key(crate::ids::CommitIndex::new(300).unwrap()).to_vec();
    let mut spoiled = lock(&table.rows)[&(Keyspace::Commits, commit.clone())].clone();
    *spoiled.last_mut().unwrap() ^= 1;
    let whole = lock(&table.rows).insert((Keyspace::Commits, commit.clone()), spoiled);
    assert!(found(&*journal).findings[0].contains("commit 300"));
    lock(&table.rows).insert((Keyspace::Commits, commit), whole.unwrap());
    driver.write("a", 1);
    driver.check();
}
