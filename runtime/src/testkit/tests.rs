//! The kit itself: it passes what is right, names what was expected, and catches actors that break each
//! law on purpose.

mod broken;
mod right;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The test that `run` is must fail, and say each of `words`.
#[track_caller]
fn check_fails(run: impl FnOnce(), words: &[&str]) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else {
        panic!("it passed");
    };
    let text = panic.downcast_ref::<String>().expect("a text");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}
