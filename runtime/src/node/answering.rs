//! A command on its way and its answer coming back: a future without allocations where there is no deadline
//! and the worker has room.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::error::AskError;
use crate::model::Command;
use crate::worker::{Claim, Deadline, Envelope};

/// What comes of a command.
pub(super) type Answer<C> = Result<<C as Command>::Reply, AskError<<C as Command>::Rejection>>;

/// What [`Ask`](crate::Ask) is while it is awaited.
#[must_use = "nothing is sent until it is awaited"]
pub struct Answering<'a, C: Command>(State<'a, C>);

enum State<'a, C: Command> {
    /// Nothing is sent yet.
    Made {
        shared: &'a Shared,
        worker: usize,
        envelope: Envelope,
        answer: oneshot::Receiver<Answer<C>>,
    },
    Sent(oneshot::Receiver<Answer<C>>),
    /// The worker's queue is full, or there is a deadline.
    Slow(Pin<Box<dyn Future<Output = Answer<C>> + Send + 'a>>),
    /// There is nobody to send it to.
    Failed {
        reason: String,
    },
    Done,
}

impl<C: Command> fmt::Debug for Answering<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").finish_non_exhaustive()
    }
}

impl<'a, C: Command> Answering<'a, C> {
    pub(super) fn failed(reason: String) -> Self {
        Self(State::Failed { reason })
    }

    pub(super) fn new(
        shared: &'a Shared,
        worker: usize,
        envelope: Envelope,
        deadline: Option<Duration>,
        answer: oneshot::Receiver<Answer<C>>,
    ) -> Self {
        if deadline.is_some() {
            let slow = answer_within(shared, envelope, deadline, answer);
            return Self(State::Slow(Box::pin(slow)));
        }
        Self(State::Made {
            shared,
            worker,
            envelope,
            answer,
        })
    }
}

/// Sends a command, or begins to wait for room.
fn send<C: Command>(
    shared: &Shared,
    worker: usize,
    envelope: Envelope,
    answer: oneshot::Receiver<Answer<C>>,
) -> Result<State<'_, C>, AskError<C::Rejection>> {
    let port = shared.port(worker).ok_or(AskError::Stopped)?;
    let patient = envelope.patient;
    match port.commands.try_send(envelope) {
        Ok(()) => Ok(State::Sent(answer)),
        Err(TrySendError::Full(envelope)) if patient => {
            let slow = async move {
                let sent = port.commands.send(envelope).await;
                sent.map_err(|_| AskError::Stopped)?;
                answer.await.unwrap_or(Err(AskError::OutcomeUnknown))
            };
            Ok(State::Slow(Box::pin(slow)))
        }
        Err(error) => Err(not_sent(&error)),
    }
}

impl<C: Command> Future for Answering<'_, C> {
    type Output = Answer<C>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = &mut self.get_mut().0;
        loop {
            match state {
                State::Made { .. } | State::Failed { .. } | State::Done => {}
                State::Sent(answer) => {
                    let answer = ready!(Pin::new(answer).poll(cx));
                    *state = State::Done;
                    return Poll::Ready(answer.unwrap_or(Err(AskError::OutcomeUnknown)));
                }
                State::Slow(slow) => {
                    let answer = ready!(slow.as_mut().poll(cx));
                    *state = State::Done;
                    return Poll::Ready(answer);
                }
            }
            match std::mem::replace(state, State::Done) {
                State::Made {
                    shared,
                    worker,
                    envelope,
                    answer,
                } => match send(shared, worker, envelope, answer) {
                    Ok(sent) => *state = sent,
                    Err(error) => return Poll::Ready(Err(error)),
                },
                State::Failed { reason } => return Poll::Ready(Err(AskError::Failed { reason })),
                // Polled again after its answer, which no caller may do.
                State::Sent(_) | State::Slow(_) | State::Done => return Poll::Pending,
            }
        }
    }
}

/// Sends a command and waits for its answer, at most `deadline`.
pub(super) async fn answer_within<T, R>(
    shared: &Shared,
    mut envelope: Envelope,
    deadline: Option<Duration>,
    answer: oneshot::Receiver<Result<T, AskError<R>>>,
) -> Result<T, AskError<R>> {
    let Some(deadline) = deadline else {
        deliver(shared, envelope).await?;
        return answer.await.unwrap_or(Err(AskError::OutcomeUnknown));
    };
    let claim = Claim::default();
    envelope.deadline = Some(Box::new(Deadline {
        expires: shared.clock.running().saturating_add(deadline),
        claim: claim.clone(),
    }));
    let late = {
        // The timer belongs to the node's runtime; the caller's may have none.
        let _in_runtime = shared.tasks.enter();
        shared.clock.sleep(deadline)
    };
    let asked = async {
        deliver(shared, envelope).await?;
        answer.await.unwrap_or(Err(AskError::OutcomeUnknown))
    };
    tokio::select! {
        biased;
        answer = asked => answer,
        () = late => Err(if claim.give_up() { AskError::Expired } else { AskError::OutcomeUnknown }),
    }
}

async fn deliver<R>(shared: &Shared, envelope: Envelope) -> Result<(), AskError<R>> {
    let port = shared
        .worker_of(&envelope.to.actor)
        .ok_or(AskError::Stopped)?;
    if !envelope.patient {
        let sent = port.commands.try_send(envelope);
        return sent.map_err(|error| not_sent(&error));
    }
    port.commands
        .send(envelope)
        .await
        .map_err(|_| AskError::Stopped)
}

fn not_sent<R>(error: &mpsc::error::TrySendError<Envelope>) -> AskError<R> {
    match error {
        TrySendError::Full(_) => AskError::Overloaded {
            retry_after: Duration::from_millis(20),
        },
        TrySendError::Closed(_) => AskError::Stopped,
    }
}
