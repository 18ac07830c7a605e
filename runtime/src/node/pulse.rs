//! Proof of life, for a watchdog: a node that does not come round is hung and better restarted.

use steadfast_journal::Submission;
use tokio::sync::oneshot;

use super::Node;
use crate::error::NodeError;
use crate::worker::Control;

impl Node {
    /// Returns once every worker has answered and the journal's writer has got through all that was
    /// queued before. Takes as long as that takes: where a handler does not return, or the disk hangs,
    /// it does not return either. Nothing is written.
    ///
    /// A journal that has failed and is being reopened is no sign of a hang: see
    /// [`read_only`](Self::read_only).
    ///
    /// # Errors
    /// [`NodeError::Stopped`] once a worker has ended.
    pub async fn pulse(&self) -> Result<(), NodeError> {
        let shared = &self.inner.shared;
        for port in &shared.ports {
            let (reply, answer) = oneshot::channel();
            let asked = port.control.send(Control::Status(reply)).await;
            asked.map_err(|_| NodeError::Stopped)?;
            answer.await.map_err(|_| NodeError::Stopped)?;
        }
        let Some(journal) = shared.journal() else {
            return Ok(());
        };
        let (done, is_done) = oneshot::channel();
        // Blocks while the writer's queue is full, so not on this thread.
        let submitted = shared.tasks.blocking(move || {
            journal.submit(Submission {
                appends: Vec::new(),
                // Whether it can write is told elsewhere: that it answers is what counts.
                done: Box::new(move |outcome| drop(done.send(outcome))),
            });
        });
        submitted.await.ok_or(NodeError::Stopped)?;
        is_done.await.map(drop).map_err(|_| NodeError::Stopped)
    }
}
