//! The watchdog: the service manager restarts a node that does not say in time that it is alive.
//!
//! Invariant: it is said only after [`Node::pulse`] came round, so after every worker answered and the
//! journal's writer got through its queue. A node that hangs says nothing, however well this task runs.

use std::time::Duration;

use steadfast::Node;
use tokio::task::JoinHandle;

use super::{Notifier, State};

/// Says that the node is alive until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog(Option<JoinHandle<()>>);

impl Watchdog {
    /// As `$WATCHDOG_USEC` and `$WATCHDOG_PID` say. Needs a tokio runtime.
    pub(crate) fn start(notifier: &Notifier, node: &Node) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let period = period(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        let Some(period) = period.filter(|_| notifier.is_wanted()) else {
            return Self(None);
        };
        tracing::info!(?period, "the watchdog of the service manager is answered");
        let (notifier, node) = (notifier.clone(), node.clone());
        Self(Some(tokio::spawn(attend(notifier, node, period))))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn attend(notifier: Notifier, node: Node, period: Duration) {
    // A third of it, so that one late pulse is no restart.
    let pause = period / 3;
    loop {
        // An error means that the node is ending: nothing more is to be said.
        if node.pulse().await.is_err() {
            return;
        }
        notifier.tell(State::Alive);
        tokio::time::sleep(pause).await;
    }
}

/// How long the service manager waits; `None` where it does not, or where it means another process.
fn period(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let micros: u64 = micros?.parse().ok().filter(|micros| *micros > 0)?;
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(own));
    is_ours.then_some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_whom_it_means() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(period(Some("60000000"), None, 7), minute);
        assert_eq!(period(Some("60000000"), Some("7"), 7), minute);
        assert_eq!(period(Some("60000000"), Some("8"), 7), None);
        assert_eq!(period(Some("60000000"), Some("x"), 7), None);
        assert_eq!(period(Some("0"), None, 7), None);
        assert_eq!(period(Some("soon"), None, 7), None);
        assert_eq!(period(None, Some("7"), 7), None);
    }
}
