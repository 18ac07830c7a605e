//! Histories that must not pass, and some that must although they look odd.

use super::linear::{Call, NEVER, explain};
use super::slate::{Answer, Plain, Question, What};

/// Changes the answers of a history that was explained; returns how many changed ones were refused.
#[track_caller]
pub(super) fn refuse_changed(mut calls: Vec<Call<Plain>>) -> u64 {
    let mut refused = 0;
    if let Some((early, late)) = reads_apart(&calls) {
        swap_answers(&mut calls, early, late);
        assert_refused(&calls, "two reads with each other's answers");
        swap_answers(&mut calls, early, late);
        refused += 1;
    }
    if let Some(changed) = calls.iter().position(is_counted) {
        let right = calls[changed].answer.take();
        calls[changed].answer = Some(Answer::Count(0));
        assert_refused(&calls, "nothing after something was added");
        calls[changed].answer = right;
        refused += 1;
    }
    // The last call reads everything: what was added and acknowledged is lost, or there twice.
    if let Some(Some(Answer::Values(values))) = calls.last().map(|call| call.answer.clone())
        && let Some((last, before)) = values.split_last()
    {
        let twice = [values.as_slice(), &[*last]].concat();
        for wrong in [before.to_vec(), twice] {
            let read = calls.last_mut().unwrap();
            read.answer = Some(Answer::Values(wrong));
            if is_acknowledged(&calls, *last) {
                assert_refused(&calls, "the newest value is lost, or twice there");
                refused += 1;
            }
        }
    }
    refused
}

/// Two reads, the one over before the other was asked, with different answers: no list is as before ever again.
fn reads_apart(calls: &[Call<Plain>]) -> Option<(usize, usize)> {
    let reads = calls.iter().enumerate();
    let mut reads = reads.filter(|(_, call)| call.question.what == What::Read);
    let (early, first) = reads.next()?;
    let (late, _) =
        reads.rfind(|(_, call)| first.over < call.asked && first.answer != call.answer)?;
    Some((early, late))
}

fn swap_answers(calls: &mut [Call<Plain>], one: usize, other: usize) {
    let kept = calls[one].answer.take();
    calls[one].answer = calls[other].answer.take();
    calls[other].answer = kept;
}

fn is_counted(call: &Call<Plain>) -> bool {
    matches!(call.answer, Some(Answer::Count(_)))
}

/// Whether somebody was told that `value` is there.
fn is_acknowledged(calls: &[Call<Plain>], value: u64) -> bool {
    calls
        .iter()
        .any(|call| match (&call.question.what, &call.answer) {
            (What::Add { values, .. }, Some(Answer::Count(_))) => values.last() == Some(&value),
            (What::Exchange { to, .. }, Some(Answer::Exchanged)) => *to == value,
            (What::Add { .. } | What::Exchange { .. } | What::Read, _) => false,
        })
}

#[track_caller]
fn assert_refused(calls: &[Call<Plain>], what: &str) {
    let explained = explain(Plain::default(), calls);
    assert!(explained.is_err(), "{what}: {explained:?} of {calls:?}");
}

/// A history made by hand: each line a question, from and to a moment.
#[derive(Default)]
struct ByHand(Vec<Call<Plain>>);

impl ByHand {
    fn call(
        mut self,
        asked: u64,
        over: u64,
        key: Option<u64>,
        what: What,
        answer: Option<Answer>,
    ) -> Self {
        self.0.push(Call {
            question: Question { key, what },
            asked,
            over,
            answer,
        });
        self
    }

    fn add(self, (asked, over): (u64, u64), value: u64, count: u64) -> Self {
        self.call(asked, over, None, add(&[value]), Some(Answer::Count(count)))
    }

    fn keyed(self, (asked, over): (u64, u64), value: u64, count: u64) -> Self {
        let answer = Some(Answer::Count(count));
        self.call(asked, over, Some(value), add(&[value]), answer)
    }

    fn keyed_unknown(self, (asked, over): (u64, u64), value: u64) -> Self {
        self.call(asked, over, Some(value), add(&[value]), None)
    }

    fn unknown(self, (asked, over): (u64, u64), value: u64) -> Self {
        self.call(asked, over, None, add(&[value]), None)
    }

    fn exchange(self, (asked, over): (u64, u64), from: u64, to: u64, answer: Answer) -> Self {
        self.call(asked, over, None, What::Exchange { from, to }, Some(answer))
    }

    fn read(self, (asked, over): (u64, u64), values: &[u64]) -> Self {
        let answer = Answer::Values(values.to_vec());
        self.call(asked, over, None, What::Read, Some(answer))
    }

    #[track_caller]
    fn passes(&self) {
        explain(Plain::default(), &self.0).unwrap();
    }

    #[track_caller]
    fn is_refused(&self) {
        assert_refused(&self.0, "made by hand");
    }
}

fn add(values: &[u64]) -> What {
    What::Add {
        values: values.to_vec(),
        leave: false,
    }
}

fn history() -> ByHand {
    ByHand::default()
}

#[test]
fn a_read_that_misses_what_was_acknowledged_is_refused() {
    history().add((1, 2), 10, 1).read((3, 4), &[]).is_refused();
    history().add((1, 3), 10, 1).read((2, 4), &[]).passes();
    history().add((1, 2), 10, 1).read((3, 4), &[10]).passes();
}

#[test]
fn reads_that_go_back_in_time_are_refused() {
    let both = history().add((1, 10), 10, 1);
    let forth = both.read((2, 3), &[]).read((4, 5), &[10]);
    forth.passes();
    let both = history().add((1, 10), 10, 1);
    both.read((2, 3), &[10]).read((4, 5), &[]).is_refused();
}

#[test]
fn two_exchanges_of_the_same_value_are_refused() {
    let begun = history().add((1, 2), 10, 1);
    let one = begun.exchange((3, 6), 10, 11, Answer::Exchanged);
    one.exchange((4, 5), 10, 12, Answer::Exchanged).is_refused();
    let begun = history().add((1, 2), 10, 1);
    let one = begun.exchange((3, 6), 10, 11, Answer::Exchanged);
    one.exchange((4, 5), 10, 12, Answer::Newest(11)).passes();
}

#[test]
fn an_update_that_another_one_hides_is_refused() {
    let both = history().add((1, 4), 10, 1).add((2, 3), 11, 1);
    both.is_refused();
    let both = history().add((1, 4), 10, 2).add((2, 3), 11, 1);
    both.read((5, 6), &[11, 10]).passes();
}

#[test]
fn a_key_that_took_effect_twice_is_refused() {
    let asked = history().keyed((1, 2), 10, 1).keyed((3, 4), 10, 2);
    asked.is_refused();
    let asked = history().keyed((1, 2), 10, 1).keyed((3, 4), 10, 1);
    asked.read((5, 6), &[10]).passes();
    let asked = history().keyed_unknown((1, 5), 10).keyed((6, 7), 10, 1);
    asked.read((8, 9), &[10, 10]).is_refused();
}

#[test]
fn a_key_resolves_to_one_execution_at_either_moment() {
    // By the first attempt, before 11 was added, or by the second, after it.
    for (count, there) in [(1, [10, 11]), (2, [11, 10])] {
        let first = history()
            .keyed_unknown((1, 5), 10)
            .add((2, 3), 11, 3 - count);
        let second = first.keyed((6, 7), 10, count);
        second.read((8, 9), &there).passes();
    }
    // Not at both.
    let first = history().keyed_unknown((1, 5), 10).add((2, 3), 11, 2);
    first.keyed((6, 7), 10, 2).is_refused();
}

#[test]
fn a_command_that_is_there_by_half_is_refused() {
    let asked = history().call(1, 2, None, add(&[10, 11]), Some(Answer::Count(2)));
    asked.read((3, 4), &[10]).is_refused();
    let open = history().call(1, 9, None, add(&[10, 11]), None);
    open.read((3, 4), &[10]).is_refused();
}

#[test]
fn an_unknown_call_takes_effect_late_or_never_but_not_before_it_is_asked() {
    let open = || history().unknown((3, NEVER), 10);
    open().read((4, 5), &[]).read((6, 7), &[10]).passes();
    open().read((4, 5), &[]).read((6, 7), &[]).passes();
    open().read((1, 2), &[10]).is_refused();
    open().read((4, 5), &[10]).read((6, 7), &[]).is_refused();
}

#[test]
fn an_unknown_call_takes_no_effect_once_the_node_is_open_again() {
    let lost = || history().unknown((1, 4), 10);
    lost().read((5, 6), &[10]).passes();
    lost().read((5, 6), &[]).passes();
    lost().read((5, 6), &[]).read((7, 8), &[10]).is_refused();
}

#[test]
fn a_long_history_with_open_calls_everywhere_is_decided() {
    // Of four calls before each opening two took effect, in the opposite order.
    let (mut long, mut there) = (history(), Vec::new());
    for round in 0..40 {
        let begun = 20 * round;
        for value in begun + 1..=begun + 4 {
            long = long.unknown((value, begun + 10), value);
        }
        there.extend([begun + 4, begun + 1]);
        long = long.read((begun + 11, begun + 12), &there);
    }
    long.passes();
    long.read((2_000, 2_001), &there[1..]).is_refused();
}
