//! SQLite in this process: one insert, one commit, one sync.

use rusqlite::Connection;
use tempfile::TempDir;

use super::{COUNTERS, Peer};
use crate::callers::{Answered, Period, Pick, count, now};
use crate::{Quantiles, Settings};

/// A database on the measured disk.
pub(super) struct Database {
    connection: Connection,
    _dir: TempDir,
}

impl Database {
    pub(super) fn start(settings: &Settings) -> Result<Self, String> {
        let dir = settings.fresh_dir();
        let opened = Connection::open(dir.path().join("events.db"));
        let connection = opened.map_err(|error| error.to_string())?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                CREATE TABLE events (id INTEGER PRIMARY KEY, actor INTEGER NOT NULL, amount INTEGER NOT NULL);",
            )
            .map_err(|error| error.to_string())?;
        for (pragma, wanted) in [("journal_mode", "wal"), ("synchronous", "2")] {
            let is: rusqlite::types::Value = connection
                .pragma_query_value(None, pragma, |row| row.get(0))
                .map_err(|error| error.to_string())?;
            let is = match is {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            };
            assert_eq!(is, wanted, "{pragma} is what makes it comparable");
        }
        Ok(Self {
            connection,
            _dir: dir,
        })
    }
}

impl Peer for Database {
    fn answered(&mut self, period: Period) -> Result<Answered, String> {
        let insert = "INSERT INTO events (actor, amount) VALUES (?1, 1)";
        let prepared = self.connection.prepare_cached(insert);
        let mut insert = prepared.map_err(|error| error.to_string())?;
        let mut pick = Pick::of(0);
        let mut one = || {
            let actor = i64::try_from(pick.below(COUNTERS)).expect("it is small");
            insert.execute([actor]).map_err(|error| error.to_string())
        };
        let begin = now();
        while begin.elapsed() < period.warm_up {
            one()?;
        }
        let (begin, mut times) = (now(), Vec::new());
        while begin.elapsed() < period.measured {
            let asked = now();
            one()?;
            times.push(asked.elapsed());
        }
        let commits = u64::try_from(times.len()).expect("it fits");
        Ok(Answered {
            rate: count(commits) / begin.elapsed().as_secs_f64(),
            times: Some(Quantiles::of(times)),
        })
    }
}
