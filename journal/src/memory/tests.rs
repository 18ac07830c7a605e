//! The in-memory journal: the contract, and what its faults do.

use super::MemoryStorage;
use crate::conformance::CHECKS;

#[test]
fn keeps_the_contract() {
    for (name, check) in CHECKS {
        eprintln!("{name}");
        check(&|| Box::new(MemoryStorage::new()));
    }
}
