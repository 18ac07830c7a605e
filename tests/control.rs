//! Goal: the laws catch what they are there for. A check that never fails proves nothing.
//!
//! Method: after a kill under load, the record or the directory is changed as each kind of fault would
//! have changed it; the check must object, and name the operation where there is one.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use steadfast_tests::{Extra, History, Plan, Told};

use crate::harness::{Place, Victim, check_all, seed};

/// What the check says of `place` with these lines added to its record; `None` if it is content.
fn objection(place: &Place, lines: &str) -> Option<String> {
    let fork = place.fork();
    let mut record = std::fs::read_to_string(&fork.record).expect("a record");
    record.push_str(lines);
    std::fs::write(&fork.record, record).expect("a record");
    objection_to(&fork)
}

fn objection_to(place: &Place) -> Option<String> {
    let history = History::read(&place.record);
    let checking = AssertUnwindSafe(|| check_all(&place.dir, place, &history, false));
    let panic = catch_unwind(checking).err()?;
    Some(*panic.downcast::<String>().expect("a text"))
}

#[track_caller]
fn must_object(place: &Place, what: &str, lines: &str) {
    let said = objection(place, lines);
    let said = said.unwrap_or_else(|| panic!("not noticed: {lines}"));
    assert!(said.contains(what), "{said}");
}

/// The first operation in the order of answers that is like this.
fn find(history: &History, like: impl Fn(u64, &Told) -> bool) -> (u64, Told) {
    let known = history
        .acknowledged
        .iter()
        .map(|op| (*op, &history.operations[op]));
    let mut found = known.filter(|(op, told)| told.acks.len() == 1 && like(*op, told));
    let (op, told) = found.next().expect("there is one of each kind");
    (op, told.clone())
}

#[test]
fn laws_catch_every_fault() {
    let seed = seed("laws_catch");
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, seed, &[]);
    victim.wait_for("answers 3000");
    victim.kill();
    let history = History::read(&place.record);
    assert_eq!(objection(&place, ""), None, "nothing is wrong yet");

    must_object(&place, "and not there", "try 777\nack 777 1 1\n");
    // One that asks for no effect, so that an effect of it is one that nobody wanted.
    let (op, told) = find(&history, |op, told| {
        told.tries == 1 && !matches!(Plan::of(op).extra, Extra::Receipt | Extra::Once)
    });
    let (seq, sum) = (told.acks[0].seq, told.acks[0].sum);
    must_object(
        &place,
        "and not there",
        &format!("ack {op} {seq} {}\n", sum + 1),
    );
    must_object(
        &place,
        "and not there",
        &format!("ack {op} {} {sum}\n", seq + 1),
    );
    must_object(&place, "had no effect", &format!("not {op} as it may be\n"));
    must_object(&place, "nobody wanted", &format!("run {op} an-effect\n"));
    must_object(&place, "by the victim", "bad told by the victim\n");
    let (op, told) = find(&history, |op, told| {
        Plan::of(op).extra == Extra::Once && !told.runs.is_empty()
    });
    must_object(
        &place,
        "ran more than once",
        &format!("run {op} {}\n", told.runs[0]),
    );
    let (op, _) = find(&history, |op, told| {
        Plan::of(op).extra == Extra::Receipt && !told.runs.is_empty()
    });
    must_object(&place, "under two names", &format!("run {op} another\n"));
}

#[test]
fn laws_catch_a_directory_that_went_back_in_time() {
    let seed = seed("back_in_time");
    let place = Place::new();
    for life in 1..=2 {
        let mut victim = Victim::load(&place, life, seed, &[]);
        victim.wait_for("answers 1000");
        victim.kill();
        if life == 1 {
            place.copy("older");
        }
    }
    assert_eq!(objection_to(&place), None, "nothing is wrong yet");
    let older = place.root.path().join("older");
    std::fs::remove_dir_all(&place.dir).expect("it is removed");
    std::fs::rename(older, &place.dir).expect("it is moved");
    let said = objection_to(&place).expect("the loss is noticed");
    assert!(said.contains("and not there"), "{said}");
}

#[test]
fn laws_catch_an_operation_that_nobody_tried() {
    let seed = seed("nobody_tried");
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, seed, &[]);
    victim.wait_for("answers 1000");
    victim.kill();
    let history = History::read(&place.record);
    let (op, _) = find(&history, |_, _| true);
    let record = std::fs::read_to_string(&place.record).expect("a record");
    let mut without = String::new();
    for line in record
        .lines()
        .filter(|line| line.split(' ').nth(1) != Some(&op.to_string()))
    {
        writeln!(without, "{line}").expect("room");
    }
    std::fs::write(&place.record, without).expect("a record");
    let said = objection_to(&place).expect("it is noticed");
    assert!(said.contains("never attempted"), "{said}");
}
