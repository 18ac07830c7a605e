//! The journal on disk: the contract, then damage, refusals and readers.

use std::sync::Arc;

use tempfile::TempDir;

use super::{RocksOptions, RocksStorage};
use crate::conformance::CHECKS;
use crate::error::Error;
use crate::journal::{Journal, Storage};

/// A data directory that goes with it.
struct Temporary {
    storage: RocksStorage,
    _dir: TempDir,
}

impl Storage for Temporary {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        self.storage.open()
    }
}

fn temporary() -> Box<dyn Storage> {
    let dir = TempDir::new().unwrap();
    let storage = RocksStorage::acquire(dir.path(), RocksOptions::default()).unwrap();
    Box::new(Temporary { storage, _dir: dir })
}

#[test]
fn keeps_the_contract() {
    for (name, check) in CHECKS {
        eprintln!("{name}");
        check(&temporary);
    }
}
