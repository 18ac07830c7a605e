//! What went wrong with one actor lately, and what follows from it: nothing, a pause, or quarantine.
//!
//! Only actors that failed have one of these; a success ends it.

use std::fmt;
use std::time::Duration;

use super::input::{Envelope, Internal};
use crate::host::Source;

/// Wait before the first failed work of the runtime's own comes again, and the first pause of a mailbox.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What fails.
#[derive(Debug, Clone)]
pub(crate) enum Failing {
    /// A caller's command. Nothing is kept of it: the caller was told.
    Command { name: String },
    /// Work that the runtime owes the actor. `source` says how it is consumed, where it can be.
    Work {
        text: String,
        source: Option<Source>,
    },
    /// A journalled event that cannot be decoded or applied.
    Event { seq: u64, name: String },
}

impl Failing {
    pub(crate) fn of(envelope: &Envelope) -> Self {
        let name = envelope.invoke.name();
        if envelope.internal.is_none() {
            return Self::Command {
                name: name.to_owned(),
            };
        }
        let source = envelope.invoke.source().cloned();
        let text = source.as_ref().and_then(Source::describe);
        Self::Work {
            text: text.unwrap_or_else(|| name.to_owned()),
            source,
        }
    }

    pub(crate) fn of_source(source: Source) -> Option<Self> {
        Some(Self::Work {
            text: source.describe()?,
            source: Some(source),
        })
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { name } => write!(f, "command {name:?} of a caller"),
            Self::Work { text, .. } => f.write_str(text),
            Self::Event { seq, name } => write!(f, "event {seq} {name:?}"),
        }
    }
}

/// Failures after which an actor is set aside; 0 means never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of one piece of work of the runtime's own.
    pub(crate) work: u32,
    /// Of any commands.
    pub(crate) commands: u32,
}

/// What follows from a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on: after a pause of the mailbox, and with the failed work coming again after its own wait.
    Again {
        pause: Option<Duration>,
        wait: Duration,
    },
    /// That was one too many.
    SetAside { failures: u32 },
}

/// Failures of one actor, and what is held for it while it is set aside.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Failures since any command succeeded.
    in_a_row: u32,
    /// Failures of each piece of the runtime's own work since it succeeded.
    work: Vec<(String, u32)>,
    /// One more failure sets the actor aside again.
    pub(crate) trial: bool,
    /// Whether it is to be recovered even if nobody waits for it.
    pub(crate) wanted: bool,
    /// Until when its mailbox is held, on the running clock.
    pub(crate) held_until: Option<Duration>,
    /// Work of the runtime's own that came while the actor was set aside. Bounded: what does not fit is
    /// found again in the state.
    pub(crate) kept: Vec<Internal>,
}

impl Trouble {
    pub(crate) fn failed(&mut self, failing: &Failing, limits: Limits) -> Verdict {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let mut worst = self.in_a_row;
        let mut over = reached(self.in_a_row, limits.commands);
        let mut own = 1;
        if let Failing::Work { text, .. } = failing {
            own = self.count_work(text);
            over |= reached(own, limits.work);
            worst = worst.max(own);
        }
        if over || self.trial {
            return Verdict::SetAside { failures: worst };
        }
        let pause = self.in_a_row.checked_sub(2).map(doubled);
        Verdict::Again {
            pause,
            wait: doubled(own),
        }
    }

    fn count_work(&mut self, text: &str) -> u32 {
        if let Some((_, count)) = self.work.iter_mut().find(|(known, _)| known == text) {
            *count = count.saturating_add(1);
            return *count;
        }
        self.work.push((text.to_owned(), 1));
        1
    }

    /// A command succeeded; `work` names it if it was the runtime's own.
    pub(crate) fn succeeded(&mut self, work: Option<&str>) {
        self.in_a_row = 0;
        self.work_is_over(work);
    }

    /// The work is not owed any more.
    pub(crate) fn work_is_over(&mut self, work: Option<&str>) {
        self.work
            .retain(|(text, _)| work.is_none_or(|work| work != text));
        // While the work that failed is still to come, success elsewhere does not end the trial.
        self.trial &= self.in_a_row > 0 || !self.work.is_empty();
    }

    /// Failures since any command succeeded.
    pub(crate) const fn failures(&self) -> u32 {
        self.in_a_row
    }

    /// Forgets all failures.
    pub(crate) fn forgive(&mut self) {
        self.in_a_row = 0;
        self.work.clear();
        self.trial = false;
    }

    /// Whether nothing is left to remember.
    pub(crate) fn is_over(&self) -> bool {
        self.in_a_row == 0
            && self.work.is_empty()
            && self.kept.is_empty()
            && self.held_until.is_none()
            && !self.wanted
    }
}

fn reached(count: u32, limit: u32) -> bool {
    limit > 0 && count >= limit
}

fn doubled(times: u32) -> Duration {
    FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(times))
        .min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        work: 5,
        commands: 10,
    };

    fn work(text: &str) -> Failing {
        Failing::Work {
            text: text.to_owned(),
            source: None,
        }
    }

    fn command() -> Failing {
        Failing::Command {
            name: "do".to_owned(),
        }
    }

    fn pause(verdict: &Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Again { pause, .. } => *pause,
            Verdict::SetAside { .. } => panic!("it was set aside"),
        }
    }

    #[test]
    fn pauses_double_from_the_second_failure_to_the_longest() {
        let mut trouble = Trouble::default();
        let never = Limits {
            work: 0,
            commands: 0,
        };
        assert_eq!(pause(&trouble.failed(&command(), never)), None);
        let mut expected = Duration::from_millis(100);
        for _ in 0..40 {
            assert_eq!(pause(&trouble.failed(&command(), never)), Some(expected));
            expected = (expected * 2).min(Duration::from_secs(30));
        }
    }

    #[test]
    fn a_success_ends_the_row_of_a_caller() {
        let mut trouble = Trouble::default();
        for _ in 0..1_000 {
            for _ in 0..9 {
                let verdict = trouble.failed(&command(), LIMITS);
                assert!(matches!(verdict, Verdict::Again { .. }), "{verdict:?}");
            }
            trouble.succeeded(None);
            assert!(trouble.is_over());
        }
        for _ in 0..9 {
            trouble.failed(&command(), LIMITS);
        }
        let tenth = trouble.failed(&command(), LIMITS);
        assert_eq!(tenth, Verdict::SetAside { failures: 10 });
    }

    #[test]
    fn work_that_never_succeeds_is_noticed_behind_successes() {
        let mut trouble = Trouble::default();
        for _ in 0..4 {
            let verdict = trouble.failed(&work("timer"), LIMITS);
            assert!(matches!(verdict, Verdict::Again { .. }), "{verdict:?}");
            trouble.succeeded(None);
            trouble.succeeded(Some("another timer"));
        }
        let fifth = trouble.failed(&work("timer"), LIMITS);
        assert_eq!(fifth, Verdict::SetAside { failures: 5 });
    }

    #[test]
    fn a_trial_ends_with_the_success_of_what_failed() {
        let mut trouble = Trouble::default();
        trouble.failed(&work("timer"), LIMITS);
        trouble.trial = true;
        trouble.succeeded(None);
        assert!(trouble.trial);
        let again = trouble.failed(&work("timer"), LIMITS);
        assert_eq!(again, Verdict::SetAside { failures: 2 });
        trouble.succeeded(Some("timer"));
        assert!(!trouble.trial && trouble.is_over());
    }
}
