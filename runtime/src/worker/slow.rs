//! Which slow handlers are named in a warning: each now and then, so that they do not flood the log.

use std::collections::HashMap;
use std::time::Duration;

/// Shortest time between two warnings about the same command.
const PAUSE: Duration = Duration::from_secs(10);

/// Slow handlers by kind and command, which are few: both are names in the program.
#[derive(Debug, Default)]
pub(super) struct SlowHandlers {
    /// When it was last named, and how often it was slow since.
    named: HashMap<(&'static str, &'static str), (Duration, u64)>,
}

impl SlowHandlers {
    /// A handler was slow. `Some` if it is to be named now, with how often it was slow and not named since
    /// the last time.
    pub(super) fn note(
        &mut self,
        kind: &'static str,
        command: &'static str,
        running: Duration,
    ) -> Option<u64> {
        match self.named.get_mut(&(kind, command)) {
            Some((last, unsaid)) if running.saturating_sub(*last) < PAUSE => {
                *unsaid = unsaid.saturating_add(1);
                None
            }
            Some((last, unsaid)) => {
                *last = running;
                Some(std::mem::take(unsaid))
            }
            None => {
                self.named.insert((kind, command), (running, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_named_now_and_then_and_none_is_forgotten() {
        let mut slow = SlowHandlers::default();
        let at = Duration::from_secs;
        assert_eq!(slow.note("a", "x", at(0)), Some(0));
        assert_eq!(slow.note("a", "y", at(1)), Some(0));
        for second in 1..10 {
            assert_eq!(slow.note("a", "x", at(second)), None);
        }
        assert_eq!(slow.note("a", "x", at(10)), Some(9));
        assert_eq!(slow.note("a", "x", at(30)), Some(0));
    }
}
