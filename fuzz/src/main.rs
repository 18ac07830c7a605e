//! libFuzzer over the doors to the decoders. `STEADFAST_FUZZ_TARGET` says which one; one program for all of them,
//! because linking it takes longer than anything else.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static DOOR: OnceLock<fn(&[u8])> = OnceLock::new();
    DOOR.get_or_init(door)(bytes);
});

fn door() -> fn(&[u8]) {
    let wanted = std::env::var("STEADFAST_FUZZ_TARGET").expect("STEADFAST_FUZZ_TARGET names a target");
    let doors = [
        &steadfast_journal::fuzzing::TARGETS[..],
        &steadfast_snapshots::fuzzing::TARGETS,
        &steadfast::fuzzing::TARGETS,
        &steadfast_actors::fuzzing::TARGETS,
        &steadfast_agent::fuzzing::TARGETS,
    ];
    let mut doors = doors.iter().copied().flatten();
    let found = doors.find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("no target is called {wanted}")).1
}
