//! Messages between actors: claims about what was sent, and commands that another actor sent.

use std::sync::Arc;

use steadfast_journal::{ActorId, ActorNumber};

use super::bench::decoded;
use super::{Given, Then, fail};
use crate::core::{Message, MessageId, Operation};
use crate::host::Source;
use crate::model::{Address, Command, Handle, Returned, StatefulActor};

/// The number of whoever sends to the actor under test.
const SENDER: u64 = u64::MAX;

impl<A: StatefulActor> Given<A> {
    /// Sends a command as the actor `sender` would with [`Live::send`](crate::Live::send), and checks the
    /// three laws.
    #[track_caller]
    pub fn when_from<C: Command>(self, sender: &ActorId, command: C) -> Then<A, C>
    where
        A: Handle<C>,
    {
        let source = self.message(sender, &command, None);
        self.turn(command, &source)
    }

    /// Gives a sent command back that its receiver rejected.
    #[track_caller]
    pub fn when_returned<C: Command>(self, returned: Returned<C>) -> Then<A, Returned<C>>
    where
        A: Handle<Returned<C>>,
    {
        let source = self.message(
            &returned.to.clone(),
            &returned.command,
            Some(&returned.rejection),
        );
        self.turn(returned, &source)
    }

    #[track_caller]
    fn message<C: Command>(
        &self,
        sender: &ActorId,
        command: &C,
        rejection: Option<&C::Rejection>,
    ) -> Source {
        let Some(from) = ActorNumber::new(SENDER) else {
            fail("no actor has the number 0");
        };
        Source::Message(Arc::new(Message {
            id: MessageId {
                from,
                entry: self.bench.host.core.entry.saturating_add(1),
                index: 0,
            },
            from: sender.clone(),
            from_kind: sender.space().to_owned(),
            to: self.bench.id.clone(),
            to_kind: A::KIND.to_owned(),
            command: C::NAME.to_owned(),
            body: encoded(command).into(),
            rejection: rejection.map(|rejection| encoded(rejection).into()),
            cause: None,
        }))
    }
}

#[track_caller]
fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    match rmp_serde::to_vec_named(value) {
        Ok(bytes) => bytes,
        Err(error) => fail(&format!("a message cannot be encoded: {error}")),
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the last claim of a test is a statement"
)]
impl<A: StatefulActor, C: Command> Then<A, C> {
    /// It sent exactly one command `D` to this actor: this one.
    #[track_caller]
    pub fn then_sent<B, D: Command>(self, to: &Address<B>, check: impl FnOnce(&D)) -> Self
    where
        B: Handle<D>,
    {
        let sent: Vec<(&ActorId, &str, &[u8])> = self.sent().collect();
        let mut matching = sent
            .iter()
            .filter(|(receiver, name, _)| *receiver == to.id() && *name == D::NAME);
        let (Some((_, _, body)), None) = (matching.next(), matching.next()) else {
            let sent: Vec<String> = sent
                .iter()
                .map(|(receiver, name, _)| format!("{name} to {receiver}"))
                .collect();
            fail(&format!(
                "{:?} did not send {:?} to {to} once, but {sent:?}",
                C::NAME,
                D::NAME
            ));
        };
        check(&decoded(body, "a message"));
        self
    }

    /// It sent nothing.
    #[track_caller]
    pub fn then_nothing_sent(self) -> Self {
        let sent: Vec<String> = self
            .sent()
            .map(|(receiver, name, _)| format!("{name} to {receiver}"))
            .collect();
        if !sent.is_empty() {
            fail(&format!("{:?} sent messages: {sent:?}", C::NAME));
        }
        self
    }

    fn sent(&self) -> impl Iterator<Item = (&ActorId, &str, &[u8])> {
        self.turned.operations.iter().filter_map(|operation| {
            let Operation::SendMessage {
                to,
                command,
                body,
                rejection: None,
                ..
            } = operation
            else {
                return None;
            };
            Some((to, command.as_str(), body.as_slice()))
        })
    }
}
