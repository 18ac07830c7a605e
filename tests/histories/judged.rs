//! A history that is over, judged, and what it reached.

use std::collections::{BTreeMap, BTreeSet};

use super::course::{Asked, Outcome, SLATES, Told};
use super::linear::{Call, NEVER, explain};
use super::slate::{Answer, Plain, What};

/// What a batch of histories reached, by name.
pub(super) type Reached = BTreeMap<&'static str, u64>;

/// A history that is over.
#[derive(Debug)]
pub(super) struct History {
    pub(super) told: Told,
    pub(super) reached: Reached,
}

impl History {
    /// The calls of each slate.
    fn calls(&self) -> Vec<Vec<Call<Plain>>> {
        let mut slates: Vec<Vec<Call<Plain>>> = (0..SLATES).map(|_| Vec::new()).collect();
        for call in &self.told.calls {
            let (over, answer) = match call.heard.clone() {
                Some((_, Outcome::Refused)) => continue,
                // A read without an answer says nothing and does nothing.
                None | Some((_, Outcome::Unknown)) if call.question.what == What::Read => continue,
                Some((moment, Outcome::Answer(answer))) => (moment, Some(answer)),
                None | Some((_, Outcome::Unknown)) => (self.last_moment(call), None),
            };
            slates[call.slate].push(Call {
                question: call.question.clone(),
                asked: call.moment,
                over,
                answer,
            });
        }
        slates
    }

    /// From when on a call of unknown outcome cannot take effect: when the node was open again.
    fn last_moment(&self, call: &Asked) -> u64 {
        let openings = &self.told.openings;
        openings.get(call.opening).copied().unwrap_or(NEVER)
    }

    /// Judges it, and says what it reached.
    ///
    /// # Errors
    /// What cannot be explained.
    pub(super) fn judge(mut self) -> Result<Judged, String> {
        if !self.told.wrong.is_empty() {
            return Err(self.told.wrong.join("\n"));
        }
        let calls = self.calls();
        for calls in &calls {
            let order = explain(Plain::default(), calls)?;
            let taken: BTreeSet<usize> = order.took_effect.into_iter().collect();
            let is_open = |index: &usize| calls[*index].answer.is_none();
            let open: Vec<usize> = (0..calls.len()).filter(is_open).collect();
            let there = open.iter().filter(|index| taken.contains(index)).count();
            self.count("unknown and there", there);
            self.count("unknown and gone", open.len() - there);
            self.count("overlapping calls", overlapping(calls));
            self.count_keys(calls);
            for call in calls {
                match &call.answer {
                    Some(Answer::Newest(_)) => self.count("not exchanged", 1),
                    Some(Answer::Exchanged) => self.count("exchanged", 1),
                    None | Some(Answer::Count(_) | Answer::Values(_)) => {}
                }
            }
        }
        let refused = self.told.calls.iter();
        let refused = refused.filter(|call| matches!(call.heard, Some((_, Outcome::Refused))));
        let refused = refused.count();
        self.count("refused", refused);
        Ok(Judged {
            calls,
            reached: self.reached,
        })
    }

    fn count(&mut self, what: &'static str, times: usize) {
        *self.reached.entry(what).or_default() += times as u64;
    }

    /// Keys that were asked again, and what came of it.
    fn count_keys(&mut self, calls: &[Call<Plain>]) {
        let mut keys: BTreeMap<u64, Vec<&Call<Plain>>> = BTreeMap::new();
        for call in calls {
            if let Some(key) = call.question.key {
                keys.entry(key).or_default().push(call);
            }
        }
        for calls in keys.values() {
            let answered = calls.iter().filter(|call| call.answer.is_some()).count();
            self.count("keys answered again", usize::from(answered > 1));
            let resolved = answered > 0 && answered < calls.len();
            self.count("keys resolved later", usize::from(resolved));
        }
    }
}

/// Pairs of calls that change something and were under way at the same time.
fn overlapping(calls: &[Call<Plain>]) -> usize {
    let changing = calls.iter().filter(|call| call.question.what != What::Read);
    let changing: Vec<_> = changing.collect();
    let pairs = changing.iter().enumerate().flat_map(|(index, one)| {
        let others = changing[index + 1..].iter();
        others.map(move |other| (one, other))
    });
    pairs
        .filter(|(one, other)| one.asked < other.over && other.asked < one.over)
        .count()
}

/// A history that could be explained.
#[derive(Debug)]
pub(super) struct Judged {
    /// The calls of each slate.
    pub(super) calls: Vec<Vec<Call<Plain>>>,
    pub(super) reached: Reached,
}
