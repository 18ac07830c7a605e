//! Histories of real processes: what the victim's record says of each tally, over all of its lives.
//!
//! The record has a line before each question and one after each answer, in the order in which they were written, by
//! whatever thread: that order is the moments. What a kill left open took effect before the next life began or never.

use std::collections::{BTreeMap, HashMap};

use steadfast_tests::{ACTORS, Dice, Extra, Plan};

use super::linear::{Call, Specification, explain};
use crate::harness::{Place, Victim, peek_all, proved, runtime, say, seed, start, tries};

/// A tally by its specification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Sum {
    sum: u64,
    /// What each operation with a key was answered.
    keys: BTreeMap<u64, u64>,
}

/// An operation, or a look at the end.
#[derive(Debug)]
enum Question {
    Do(u64),
    Look,
}

impl Specification for Sum {
    type Question = Question;
    /// The sum with the operation's first event, or as it is.
    type Answer = u64;

    fn ask(&mut self, question: &Question) -> u64 {
        let Question::Do(op) = question else {
            return self.sum;
        };
        if let Some(answer) = self.keys.get(op) {
            return *answer;
        }
        let plan = Plan::of(*op);
        self.sum += plan.amount;
        let answer = self.sum;
        if plan.extra == Extra::Twice {
            self.sum += plan.amount;
        }
        if plan.keyed {
            self.keys.insert(*op, answer);
        }
        answer
    }
}

/// The calls of each tally, as the record tells them.
#[derive(Default)]
struct Reading {
    moment: u64,
    calls: HashMap<u64, Vec<Call<Sum>>>,
    /// Where the last attempt of an operation is, if it has no answer.
    open: HashMap<u64, usize>,
    /// Operations with a key that the life before left open: the next one asks them again.
    again: Vec<u64>,
    left_open: u64,
}

impl Reading {
    /// Reads one life.
    fn life(&mut self, lines: &str) {
        for line in lines.lines() {
            self.moment += 1;
            let mut words = line.split(' ');
            let (word, op) = (words.next().unwrap(), words.next().unwrap());
            let Ok(op) = op.parse() else {
                panic!("the victim heard what must never be said: {line}");
            };
            match word {
                "try" => self.asked(op),
                "ack" => self.answered(op, words.nth(1).unwrap().parse().unwrap()),
                "not" => self.refused(op),
                // Its attempt stays open: nobody knows.
                "unk" | "run" => {}
                word => panic!("unknown word {word:?} in the record"),
            }
        }
        self.end_life();
    }

    fn of(&mut self, op: u64) -> &mut Vec<Call<Sum>> {
        self.calls.entry(Plan::of(op).actor).or_default()
    }

    fn asked(&mut self, op: u64) {
        let call = Call {
            question: Question::Do(op),
            asked: self.moment,
            over: u64::MAX,
            answer: None,
        };
        self.of(op).push(call);
        let index = self.of(op).len() - 1;
        self.open.insert(op, index);
    }

    fn answered(&mut self, op: u64, sum: u64) {
        let (index, moment) = (self.open.remove(&op).unwrap(), self.moment);
        let call = &mut self.of(op)[index];
        call.over = moment;
        call.answer = Some(sum);
    }

    /// It had no effect: as if it had never been asked.
    fn refused(&mut self, op: u64) {
        let index = self.open.remove(&op).unwrap();
        // Bounded to nothing: it is over before anything else is asked.
        let call = &mut self.of(op)[index];
        call.over = call.asked;
        call.question = Question::Look;
    }

    /// What is open took effect by now or never.
    fn end_life(&mut self) {
        self.moment += 1;
        let open = std::mem::take(&mut self.open).into_keys();
        self.again = open.filter(|op| Plan::of(*op).keyed).collect();
        for call in self.calls.values_mut().flatten() {
            if call.over == u64::MAX {
                call.over = self.moment;
                self.left_open += 1;
            }
        }
    }

    /// The state of every tally, read when all lives were over.
    fn look(&mut self, sums: &[u64]) {
        for (actor, sum) in (0..ACTORS).zip(sums) {
            let call = Call {
                question: Question::Look,
                asked: self.moment + 1,
                over: self.moment + 2,
                answer: Some(*sum),
            };
            self.calls.entry(actor).or_default().push(call);
        }
    }

    /// Pairs of a tally's calls that were under way at once.
    fn overlapping(&self) -> usize {
        let pairs = self.calls.values().map(|calls| {
            let each = calls.iter().enumerate();
            each.map(|(index, call)| {
                let later = calls[index + 1..].iter();
                later.filter(|later| later.asked < call.over).count()
            })
            .sum::<usize>()
        });
        pairs.sum()
    }
}

#[test]
fn every_history_of_killed_processes_is_explained_by_one_sum() {
    let seed = seed("every_history_of_killed_processes_is_explained_by_one_sum");
    let kills = tries(4, 40);
    let (place, mut dice) = (Place::new(), Dice::new(seed));
    let (mut reading, mut read, mut asked_again) = (Reading::default(), 0, 0);
    for life in 1..=kills {
        asked_again += reading.again.len();
        let mut victim = Victim::load(&place, life, seed, &reading.again);
        victim.wait_for("ready");
        // The first one long enough for calls to meet.
        let begun = u64::from(life == 1);
        for _ in 0..begun + dice.roll(4) {
            victim.wait_for("answers");
        }
        victim.kill();
        let record = std::fs::read_to_string(&place.record).unwrap_or_default();
        let whole = record.rfind('\n').map_or(0, |last| last + 1);
        reading.life(&record[read..whole]);
        read = whole;
    }
    reading.look(&sums(&place));
    let (overlapping, left_open) = (reading.overlapping(), reading.left_open);
    let mut longest = 0;
    for (actor, calls) in &reading.calls {
        longest = longest.max(calls.len());
        explain(Sum::default(), calls).unwrap_or_else(|fault| panic!("tally {actor}: {fault}"));
    }
    say(&format!(
        "{} tallies over {kills} kills: the longest history has {longest} calls, {overlapping} pairs overlap, \
         {left_open} calls were left open, {asked_again} keys were asked again",
        reading.calls.len()
    ));
    assert!(overlapping > 0 && left_open > 0, "nothing was to decide");
    refuse_changed(reading);
    proved("killed_histories", kills);
}

/// What is stored in the end.
fn sums(place: &Place) -> Vec<u64> {
    runtime().block_on(async {
        let node = start(&place.dir, &place.open_record()).await;
        let states = peek_all(&node).await;
        node.shutdown().await.expect("an orderly end");
        states.iter().map(|state| state.sum).collect()
    })
}

/// No history is explained in which something acknowledged is not there at the end, and where nothing is open, none with
/// any other end.
fn refuse_changed(reading: Reading) {
    let (mut lost, mut more) = (0, 0);
    for (actor, mut calls) in reading.calls {
        let (end, before) = calls.split_last_mut().unwrap();
        let stored = end.answer.unwrap();
        // Sums only grow.
        if let Some(highest) = before.iter().filter_map(|call| call.answer).max() {
            end.answer = Some(highest - 1);
            let explained = explain(Sum::default(), &calls);
            assert!(explained.is_err(), "tally {actor} passes with a loss");
            lost += 1;
        }
        if calls.iter().all(|call| call.answer.is_some()) {
            calls.last_mut().unwrap().answer = Some(stored + 1);
            let explained = explain(Sum::default(), &calls);
            assert!(explained.is_err(), "tally {actor} passes with a wrong end");
            more += 1;
        }
    }
    say(&format!(
        "{lost} with a loss and {more} with more are refused"
    ));
    assert!(lost > 0, "nothing was changed");
}
