//! Signals: SIGTERM and the first SIGINT ask for an orderly end, a further SIGINT ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::problem::{Code, Exit, Problem};

/// Told once, when the process is asked to end.
#[derive(Debug, Clone)]
pub(crate) struct Ending(watch::Receiver<Option<&'static str>>);

impl Ending {
    /// Waits for the first signal and names it.
    pub(crate) async fn signal(&mut self) -> &'static str {
        match self.0.wait_for(Option::is_some).await {
            Ok(signal) => signal.unwrap_or("a signal"),
            // The listener lives as long as the runtime does.
            Err(_) => std::future::pending().await,
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
    let (interrupt, terminate) = (
        take(SignalKind::interrupt())?,
        take(SignalKind::terminate())?,
    );
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(attend(interrupt, terminate, sender));
    Ok(Ending(receiver))
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
