//! Messages of other actors on their way into mailboxes.
//!
//! Invariants:
//! * The window of a receiver holds, of each sender, the beginning of its rows in the outbox, without those
//!   that it took: so the order of each pair of sender and receiver holds, also when a handler breaks and its
//!   message comes again.
//! * The rows of a receiver are read only when its window is empty and everything that it took is durable,
//!   so that no row is read that was taken already.
//! * The journal shows a message before its sender's worker brings it. One that was read is therefore known
//!   by name until every worker has brought all that the journal could show by then.
//! * What a failed journal left in the lane is collected before deliveries begin, when it is no more than a hint to read
//!   the outbox: it may have been taken. The word that the journal is open ends with a look into the lane, as every
//!   control message does, and the word that the outbox was searched comes behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;

use super::deliver::guarded;
use super::inboxes::{Inboxes, Read, Reading};
use super::input::{Envelope, Internal, MailNews};
use super::run::Worker;
use super::slot::State;
use crate::core::{Message, MessageId};
use crate::host::{Invoke, KindEntry, Source};
use crate::node::{Letters, MailPage};

/// Messages of one receiver in memory.
const WINDOW: usize = 64;
/// Of these, how many stand in its mailbox.
const HANDED: usize = 32;
/// Bytes of messages in memory beyond which a worker leaves what arrives in the outbox.
const BYTES: usize = 32 << 20;
/// Reads of the outbox under way for one worker.
const READS: usize = 16;
/// Wait before a failed read is repeated, and first wait after a message that could not be handed over.
const AGAIN: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn on_mail(&mut self, news: MailNews) {
        match news {
            MailNews::Posted => self.collect_mail(),
            MailNews::Found {
                generation,
                receivers,
            } => {
                if self.is_open(generation) {
                    self.mail_found(receivers);
                }
            }
            MailNews::Searched { generation } => {
                if self.is_open(generation) {
                    self.open_mail();
                }
            }
            MailNews::Read {
                to,
                generation,
                page,
            } => self.on_mail_read(&to, generation, page),
        }
    }

    fn is_open(&self, generation: u64) -> bool {
        let open = self.generation.as_ref();
        open.is_some_and(|open| open.number == generation)
    }

    /// Takes what other workers have for this one.
    pub(super) fn collect_mail(&mut self) {
        if self.generation.is_none() {
            // The search of the outbox may be past what lies in the lane by the time when it is open.
            return;
        }
        if !self.inboxes.by_actor.is_empty() {
            // Looked at first: what is let out by then is in the lane.
            self.inboxes.let_out = self.shared.mail.all_let_out();
        }
        let Some(Letters {
            messages,
            in_outbox,
            ..
        }) = self.shared.mail.collect(self.index)
        else {
            return;
        };
        for message in messages {
            self.receive(message);
        }
        self.mail_found(in_outbox);
    }

    /// A message for one of this worker's actors is durable.
    pub(super) fn receive(&mut self, message: Arc<Message>) {
        let to = message.to.clone();
        let full = self.inboxes.bytes >= BYTES || self.is_set_aside(&to);
        let inbox = self.inboxes.by_actor.entry(to.clone()).or_default();
        if inbox.was_read(message.id) {
            return;
        }
        let behind = inbox.more || inbox.reading != Reading::No || inbox.window.len() >= WINDOW;
        if behind || full || !self.inboxes.open {
            inbox.more = true;
        } else {
            self.inboxes.bytes += message.bytes();
            inbox.window.push_back(message);
        }
        self.hand_in(&to);
    }

    /// Messages for these actors lie in the outbox.
    fn mail_found(&mut self, receivers: BTreeMap<ActorId, String>) {
        if self.generation.is_none() {
            return;
        }
        for (to, _) in receivers {
            self.inboxes.by_actor.entry(to.clone()).or_default().more = true;
            self.hand_in(&to);
        }
    }

    /// The outbox was searched: deliveries begin.
    fn open_mail(&mut self) {
        self.inboxes.open = true;
        let mut all: Vec<ActorId> = self.inboxes.by_actor.keys().cloned().collect();
        // In an order of its own, whatever the hashes are.
        all.sort_unstable();
        for to in all {
            self.hand_in(&to);
        }
    }

    /// The journal failed: the outbox says what there is once it is open again.
    pub(super) fn clear_mail(&mut self) {
        let reads = self.inboxes.reads;
        self.inboxes = Inboxes {
            reads,
            ..Inboxes::default()
        };
        drop(self.shared.mail.collect(self.index));
    }

    /// Brings messages from the window into the mailbox, and from the outbox into the window.
    pub(super) fn hand_in(&mut self, to: &ActorId) {
        if !self.inboxes.open
            || self.generation.is_none()
            || self.shared.is_stopping()
            || self.is_set_aside(to)
        {
            return;
        }
        while let Some(message) = self.next_to_hand(to) {
            match self.invoke_of(&message) {
                Ok((kind, invoke)) => {
                    let envelope = message_envelope(&message, kind, invoke);
                    if let Some(inbox) = self.inboxes.by_actor.get_mut(to) {
                        inbox.handed += 1;
                    }
                    self.accept(envelope);
                }
                Err(Undeliverable::NoKind) => {
                    tracing::error!(actor = %to, kind = message.to_kind, command = message.command, "a message waits for a kind that is not registered: add .register::<..>() where the node is built");
                    return self.hold_mail(to, None);
                }
                // Those before it have their turns first: then it stands in front, where it can be skipped.
                Err(Undeliverable::Actor(..)) if self.is_behind(to) => return,
                Err(Undeliverable::Actor(kind, reason)) => {
                    let source = Source::Message(Arc::clone(&message));
                    return self.quarantine(to, &kind, reason, Some(source));
                }
            }
        }
        self.refill(to);
    }

    /// The next message that is to go into the mailbox of `to`.
    fn next_to_hand(&self, to: &ActorId) -> Option<Arc<Message>> {
        let inbox = self.inboxes.by_actor.get(to)?;
        if inbox.held || inbox.handed >= HANDED {
            return None;
        }
        inbox.window.get(inbox.handed).cloned()
    }

    fn invoke_of(
        &self,
        message: &Arc<Message>,
    ) -> Result<(Arc<KindEntry>, Box<dyn Invoke>), Undeliverable> {
        let Some(kind) = self.shared.registry.get(&message.to_kind).cloned() else {
            return Err(Undeliverable::NoKind);
        };
        let source = Source::Message(Arc::clone(message));
        let name = message.command.as_str();
        let made = if let Some(rejection) = &message.rejection {
            kind.returned.get(name).map(|make| {
                guarded(|| make(message.from.clone(), &message.body, rejection, source))
            })
        } else {
            let command = kind.commands.get(name);
            command.map(|command| guarded(|| (command.from_bytes)(&message.body, source)))
        };
        let line = if message.rejection.is_some() {
            "sends"
        } else {
            "command"
        };
        match made {
            Some(Ok(invoke)) => Ok((kind, invoke)),
            Some(Err(reason)) => {
                let from = &message.from;
                let reason = format!("message {name:?} from {from} does not decode: {reason}");
                Err(Undeliverable::Actor(kind, reason))
            }
            None => {
                let reason = format!(
                    "message {name:?} from {} waits and is not registered: add .{line}::<..>() to kind {:?}",
                    message.from, kind.name
                );
                Err(Undeliverable::Actor(kind, reason))
            }
        }
    }

    /// The entry of a message's turn stands in the open batch; or, where it was skipped by hand, the entry
    /// that says so.
    pub(super) fn message_taken(&mut self, to: &ActorId, id: MessageId, skipped: bool) {
        if skipped {
            // It may stand in the mailbox again.
            self.hold_mail(to, None);
        }
        let ticket = self.open.ticket;
        let inbox = self.inboxes.by_actor.entry(to.clone()).or_default();
        inbox.taken = ticket;
        inbox.held &= !skipped;
        match inbox.window.front() {
            Some(first) if first.id == id => {
                self.inboxes.bytes = self.inboxes.bytes.saturating_sub(first.bytes());
                inbox.window.pop_front();
                inbox.handed = inbox.handed.saturating_sub(1);
            }
            // It lies in the outbox until the batch is durable; a read under way may have seen it there.
            Some(_) | None if skipped => {
                if inbox.reading == Reading::Yes {
                    inbox.reading = Reading::Stale;
                }
                inbox.more = true;
            }
            Some(_) | None => {
                tracing::error!(actor = %to, ?id, "a message was taken out of its order; this is a bug of steadfast");
            }
        }
        self.start_reads();
        self.hand_in(to);
    }

    /// Reads on where the window is empty; forgets the inbox where there is nothing more.
    pub(super) fn refill(&mut self, to: &ActorId) {
        let durable = self.durable;
        let Some(inbox) = self.inboxes.by_actor.get_mut(to) else {
            return;
        };
        if !inbox.window.is_empty()
            || inbox.reading != Reading::No
            || inbox.held
            || inbox.taken > durable
        {
            return;
        }
        if !inbox.more {
            inbox.forget_read(&self.inboxes.let_out);
            if inbox.read.is_empty() {
                self.inboxes.by_actor.remove(to);
            }
            return;
        }
        inbox.reading = Reading::Yes;
        inbox.more = false;
        self.inboxes.to_read.push_back(to.clone());
        self.start_reads();
    }

    /// Starts the reads that there is room for.
    fn start_reads(&mut self) {
        while self.inboxes.reads < READS
            && (self.inboxes.bytes < BYTES || self.inboxes.reads == 0 && self.none_is_handed())
            && self.generation.is_some()
            && let Some(next) = self.inboxes.to_read.pop_front()
        {
            self.read_mail(next);
        }
    }

    /// Whether no message is in a mailbox, so that none will give its bytes back.
    fn none_is_handed(&self) -> bool {
        self.inboxes
            .by_actor
            .values()
            .all(|inbox| inbox.handed == 0)
    }

    fn read_mail(&mut self, to: ActorId) {
        let Some(generation) = &self.generation else {
            return;
        };
        self.inboxes.reads += 1;
        let journal = Arc::clone(&generation.journal);
        let last = self.inboxes.by_actor.get(&to).and_then(|inbox| inbox.last);
        self.shared
            .read_mail(self.index, generation.number, journal, to, last);
    }

    /// A read of the outbox ended.
    fn on_mail_read(&mut self, to: &ActorId, generation: u64, page: Result<MailPage, String>) {
        self.inboxes.reads = self.inboxes.reads.saturating_sub(1);
        let current = self.generation.as_ref().map(|open| open.number);
        if current == Some(generation) {
            self.take_page(to, page);
        }
        self.start_reads();
    }

    fn take_page(&mut self, to: &ActorId, page: Result<MailPage, String>) {
        let Some(inbox) = self.inboxes.by_actor.get_mut(to) else {
            return;
        };
        if std::mem::take(&mut inbox.reading) == Reading::Stale {
            inbox.more = true;
            return self.refill(to);
        }
        match page {
            Ok(MailPage {
                messages,
                full,
                last,
            }) => {
                inbox.last = last;
                inbox.more |= full;
                inbox.forget_read(&self.inboxes.let_out);
                inbox.read.push(Read {
                    ids: messages.iter().map(|message| message.id).collect(),
                    until: self.shared.mail.all_handed_over(),
                });
                let bytes: usize = messages.iter().map(Message::bytes).sum();
                self.inboxes.bytes += bytes;
                inbox.window = messages.into_iter().map(Arc::new).collect();
                self.hand_in(to);
            }
            Err(reason) => {
                tracing::error!(actor = %to, reason, "messages could not be read; they are read again");
                inbox.more = true;
                self.hold_mail(to, Some(AGAIN));
            }
        }
    }

    /// Whether messages are being brought or read, rather than held or waiting for room.
    pub(super) fn mail_is_moving(&self) -> bool {
        let open = self.generation.is_some() && !self.is_draining();
        open && (self.inboxes.reads > 0 || self.shared.mail.has(self.index))
    }

    /// Takes the messages of an actor out of its mailbox. They come again after `wait`, or where it is
    /// `None`, when the actor is let go on or the node starts again.
    pub(super) fn hold_mail(&mut self, to: &ActorId, wait: Option<Duration>) {
        let slot = self.slots.find(to).and_then(|key| self.slots.get_mut(key));
        if let Some(slot) = slot {
            slot.mailbox
                .retain(|envelope| !matches!(envelope.internal, Some(Internal::Message { .. })));
        }
        let Some(inbox) = self.inboxes.by_actor.get_mut(to) else {
            return;
        };
        inbox.handed = 0;
        inbox.held = true;
        // They are read again: an actor that fails does not keep the room of others.
        if !inbox.window.is_empty() {
            let bytes: usize = inbox.window.iter().map(|message| message.bytes()).sum();
            inbox.window.clear();
            inbox.more = true;
            self.inboxes.bytes = self.inboxes.bytes.saturating_sub(bytes);
        }
        if let Some(wait) = wait {
            let at = self.shared.clock.running().saturating_add(wait);
            self.inboxes.again.push((at, to.clone()));
        }
    }

    /// Lets the messages of an actor come again.
    pub(super) fn resume_mail(&mut self, to: &ActorId) {
        if let Some(inbox) = self.inboxes.by_actor.get_mut(to) {
            inbox.held = false;
            self.hand_in(to);
        }
    }

    /// Lets those come again whose wait is over.
    pub(super) fn resume_held_mail(&mut self, running: Duration) {
        let (due, later) = std::mem::take(&mut self.inboxes.again)
            .into_iter()
            .partition(|(at, _)| *at <= running);
        self.inboxes.again = later;
        let due: Vec<(Duration, ActorId)> = due;
        for (_, to) in due {
            self.resume_mail(&to);
        }
    }

    /// Forgets inboxes that nothing comes to any more.
    pub(super) fn prune_inboxes(&mut self) {
        let idle = self.inboxes.by_actor.iter();
        let mut idle: Vec<ActorId> = idle
            .filter(|(_, inbox)| inbox.window.is_empty() && !inbox.more)
            .map(|(to, _)| to.clone())
            .collect();
        idle.sort_unstable();
        for to in idle {
            self.refill(&to);
        }
    }

    /// Whether messages for this actor stand in its mailbox.
    fn is_behind(&self, to: &ActorId) -> bool {
        let inbox = self.inboxes.by_actor.get(to);
        inbox.is_some_and(|inbox| inbox.handed > 0)
    }

    fn is_set_aside(&self, actor: &ActorId) -> bool {
        let slot = self.slots.find(actor).and_then(|key| self.slots.get(key));
        slot.is_some_and(|slot| matches!(slot.state, State::Quarantined(_)))
    }
}

/// Why a message cannot become a command.
enum Undeliverable {
    /// Nobody can receive it.
    NoKind,
    /// Its receiver is set aside for this reason.
    Actor(Arc<KindEntry>, String),
}

fn message_envelope(message: &Message, kind: Arc<KindEntry>, invoke: Box<dyn Invoke>) -> Envelope {
    let to = message.to.clone();
    Envelope::owed(message.to.clone(), kind, invoke, Internal::Message { to })
}
