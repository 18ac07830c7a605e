//! Signals: SIGTERM and the first SIGINT ask for an orderly end, a further SIGINT ends at once; SIGHUP asks
//! for the configuration to be read again.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::problem::{Code, Exit, Problem};

/// What the process is asked for by its signals.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The first signal that asks for the end.
    end: watch::Receiver<Option<&'static str>>,
    /// What comes while nobody waits counts once.
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The end; the signal's name.
    End(&'static str),
    /// Reading the configuration again.
    Reload,
}

impl Ending {
    /// Waits for the first signal that asks for the end. A reload that is asked for meanwhile stays asked for.
    pub(crate) async fn end(&mut self) -> &'static str {
        match self.end.wait_for(Option::is_some).await {
            Ok(signal) => signal.unwrap_or("a signal"),
            // The listener lives as long as the runtime does.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for the next signal. The end comes before everything else, and is told again and again.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            Ok(signal) = self.end.wait_for(Option::is_some) => {
                Asked::End(signal.unwrap_or("a signal"))
            }
            Some(()) = self.hangup.recv() => Asked::Reload,
            // The listeners live as long as the runtime does.
            else => std::future::pending().await,
        }
    }
}

/// Takes the signals over from the system's default. Needs a tokio runtime.
pub(crate) fn listen() -> Result<Ending, Problem> {
    let take = |kind| {
        signal(kind).map_err(|error| {
            Problem::new(
                Code::Failed,
                format!("could not listen to signals: {error}"),
            )
        })
    };
    let (interrupt, terminate, hangup) = (
        take(SignalKind::interrupt())?,
        take(SignalKind::terminate())?,
        take(SignalKind::hangup())?,
    );
    let (sender, end) = watch::channel(None);
    tokio::spawn(attend(interrupt, terminate, sender));
    Ok(Ending { end, hangup })
}

async fn attend(
    mut interrupt: Signal,
    mut terminate: Signal,
    ending: watch::Sender<Option<&'static str>>,
) {
    // Where both came together, SIGTERM counts as the first.
    let first = tokio::select! {
        biased;
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    ending.send_replace(Some(first));
    if interrupt.recv().await.is_some() {
        tracing::warn!("SIGINT: leaving at once; what is unfinished goes on at the next start");
        std::process::exit(i32::from(Exit::Interrupted as u8));
    }
}
