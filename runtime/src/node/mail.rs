//! Messages on their way from one worker to another, and how many of them wait.
//!
//! Everything here is a shortcut: each message is a row of the outbox until its receiver took it. Where a
//! lane is full, only the receiver's name is kept, and its worker reads the rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast_journal::{ActorId, ActorNumber, Error, Journal, Table, failpoint, mutant};

use super::Shared;
use super::lane::{Lane, Progress};
use crate::core::{Message, MessageId, decode_row, outbox_prefix};
use crate::worker::{Control, MailNews};

/// Messages that one lane carries; beyond it they are read from the outbox.
const LANE_MESSAGES: usize = 4_096;
/// Bytes that one lane carries.
const LANE_BYTES: usize = 8 << 20;
/// Rows of one receiver that are read at once.
const MAIL_PAGE: usize = 64;
/// Of these, how many from one sender.
const MAIL_PAGE_OF_SENDER: usize = 8;
/// Bytes of one receiver that are read at once, but for the last message.
const MAIL_PAGE_BYTES: usize = 1 << 20;

/// The lanes of all workers and the backlog of all senders.
pub(crate) struct Mail {
    /// What other workers have for each.
    lanes: Vec<Lane<Letters>>,
    progress: Vec<Progress>,
    pub(crate) backlog: Backlog,
}

/// Messages for one worker, in the order in which they became durable.
#[derive(Default)]
pub(crate) struct Letters {
    pub(crate) messages: Vec<Arc<Message>>,
    bytes: usize,
    /// Receivers, with their kinds, of which more lies in the outbox. What comes for them later lies
    /// there as well, so that nothing overtakes.
    pub(crate) in_outbox: BTreeMap<ActorId, String>,
}

impl Letters {
    fn add(&mut self, message: Arc<Message>) {
        let full = self.messages.len() >= LANE_MESSAGES || self.bytes >= LANE_BYTES;
        if full || self.in_outbox.contains_key(&message.to) {
            self.in_outbox
                .insert(message.to.clone(), message.to_kind.clone());
        } else {
            self.bytes += message.bytes();
            self.messages.push(message);
            if mutant!("message_overtakes") {
                self.messages.reverse();
            }
        }
    }
}

impl Mail {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            lanes: (0..workers).map(|_| Lane::default()).collect(),
            progress: (0..workers).map(|_| Progress::default()).collect(),
            backlog: Backlog::default(),
        }
    }

    /// A worker is about to hand a batch to the journal.
    pub(crate) fn handed_over(&self, worker: usize, ticket: u64) {
        if let Some(progress) = self.progress.get(worker) {
            progress.hand_over(ticket);
        }
    }

    /// A worker has let out, or given up, everything up to a batch.
    pub(crate) fn let_out(&self, worker: usize, ticket: u64) {
        if let Some(progress) = self.progress.get(worker) {
            progress.is_let_out(ticket);
        }
    }

    /// For each worker, up to which batch the journal may have what it wrote.
    pub(crate) fn all_handed_over(&self) -> Vec<u64> {
        let each = self.progress.iter();
        each.map(Progress::handed_over).collect()
    }

    /// For each worker, up to which batch it has let out what it wrote.
    pub(crate) fn all_let_out(&self) -> Vec<u64> {
        let each = self.progress.iter();
        each.map(Progress::let_out).collect()
    }

    /// Puts a durable message into a worker's lane. True if the worker has to be woken for it.
    fn post(&self, worker: usize, message: Arc<Message>) -> bool {
        let lane = self.lanes.get(worker);
        lane.is_some_and(|lane| lane.put(|letters| letters.add(message)))
    }

    /// Whether anything is in a worker's lane.
    pub(crate) fn has(&self, worker: usize) -> bool {
        let lane = self.lanes.get(worker);
        lane.is_some_and(Lane::is_filled)
    }

    /// Takes all that is in a worker's lane; `None` if it is empty.
    pub(crate) fn collect(&self, worker: usize) -> Option<Letters> {
        self.lanes.get(worker)?.take()
    }
}

/// How many messages of each sender are not taken yet.
///
/// Counted when they are written, so that the bound holds for what is not durable yet; counted anew from
/// the outbox whenever the journal is opened.
#[derive(Default)]
pub(crate) struct Backlog {
    /// The sum: while it is below the bound of one sender, nobody needs the lock.
    total: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    by_sender: HashMap<ActorNumber, u64>,
    /// While the outbox is read: what was written meanwhile, which must not be counted twice.
    written_meanwhile: Option<HashSet<MessageId>>,
}

impl Backlog {
    /// Everything is counted anew from here on, until [`counted`](Self::counted).
    pub(super) fn begin(&self) {
        let mut counts = locked(&self.counts);
        counts.by_sender.clear();
        counts.written_meanwhile = Some(HashSet::new());
        self.total.store(0, Ordering::Release);
    }

    /// The outbox is read from its beginning: of what was counted, only what was written meanwhile stays.
    /// None of that was taken, as nothing is delivered before all is found.
    fn restart(&self) {
        let mut guard = locked(&self.counts);
        let counts = &mut *guard;
        counts.by_sender.clear();
        let written = counts.written_meanwhile.get_or_insert_default();
        for id in &*written {
            *counts.by_sender.entry(id.from).or_default() += 1;
        }
        self.total.store(written.len() as u64, Ordering::Release);
    }

    /// Counts a row that was found in the outbox.
    fn found(&self, id: MessageId) {
        let mut counts = locked(&self.counts);
        let known = counts.written_meanwhile.as_ref();
        if !known.is_some_and(|written| written.contains(&id)) {
            self.add(&mut counts, id);
        }
    }

    /// All rows of the outbox were found.
    fn counted(&self) {
        locked(&self.counts).written_meanwhile = None;
    }

    /// A message was written.
    pub(crate) fn sent(&self, id: MessageId) {
        let mut counts = locked(&self.counts);
        if let Some(written) = &mut counts.written_meanwhile {
            written.insert(id);
        }
        self.add(&mut counts, id);
    }

    fn add(&self, counts: &mut Counts, id: MessageId) {
        *counts.by_sender.entry(id.from).or_default() += 1;
        self.total.fetch_add(1, Ordering::AcqRel);
    }

    /// A message was taken by its receiver, durably.
    pub(crate) fn taken(&self, id: MessageId) {
        let mut counts = locked(&self.counts);
        let Some(count) = counts.by_sender.get_mut(&id.from) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            counts.by_sender.remove(&id.from);
        }
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether `limit` or more messages of this sender wait.
    pub(crate) fn is_full(&self, sender: ActorNumber, limit: u64) -> bool {
        self.total.load(Ordering::Acquire) >= limit
            && locked(&self.counts)
                .by_sender
                .get(&sender)
                .is_some_and(|count| *count >= limit)
    }

    /// How many messages wait on the node.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Acquire)
    }

    /// The same, once all that was found in the outbox is counted.
    pub(crate) fn settled_total(&self) -> Option<u64> {
        let counts = locked(&self.counts);
        counts.written_meanwhile.is_none().then(|| self.total())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was read of one receiver's rows.
#[derive(Default)]
pub(crate) struct MailPage {
    pub(crate) messages: Vec<Message>,
    /// Whether there is more.
    pub(crate) full: bool,
    /// The sender that was read last: the next page begins behind it.
    pub(crate) last: Option<ActorNumber>,
}

impl Shared {
    /// Brings a durable message to its receiver's worker.
    pub(crate) fn post(&self, message: Message) {
        let worker = self.worker_index(&message.to);
        if self.mail.post(worker, Arc::new(message))
            && let Some(port) = self.ports.get(worker)
        {
            // A worker whose queue is full is awake anyway and looks at its lane.
            drop(port.control.try_send(Control::Mail(MailNews::Posted)));
        }
    }

    /// Reads the first rows for `to` on a thread that may block; the worker is sent the result.
    pub(crate) fn read_mail(
        &self,
        worker: usize,
        generation: u64,
        journal: Arc<dyn Journal>,
        to: ActorId,
        from: Option<ActorNumber>,
    ) {
        let Some(port) = self.ports.get(worker) else {
            return;
        };
        let control = port.control.clone();
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move {
            let name = to.clone();
            let read = tasks.blocking(move || read_page(journal.as_ref(), &name, from));
            let page = read
                .await
                .unwrap_or_else(|| Err("reading the outbox panicked".to_owned()));
            // A worker that is gone needs no messages.
            drop(
                control
                    .send(Control::Mail(MailNews::Read {
                        to,
                        generation,
                        page,
                    }))
                    .await,
            );
        });
    }
}

/// Reads the oldest messages of each sender, beginning with the sender behind `from`: so that one who
/// sends much does not keep the others back.
fn read_page(
    journal: &dyn Journal,
    to: &ActorId,
    from: Option<ActorNumber>,
) -> Result<MailPage, String> {
    let kind = journal.actor(to).map_err(|error| error.to_string())?;
    let mut reading = Reading {
        prefix: outbox_prefix(to),
        kind: kind.map(|row| row.kind),
        page: MailPage::default(),
        bytes: 0,
    };
    let begun = from.map_or(0, |from| from.get().saturating_add(1));
    if reading.read(journal, begun, u64::MAX)? && begun > 0 {
        reading.read(journal, 0, begun - 1)?;
    }
    failpoint!("message.read");
    Ok(reading.page)
}

/// A page that is being read.
struct Reading {
    prefix: Vec<u8>,
    /// The receiver's kind, once it has one.
    kind: Option<String>,
    page: MailPage,
    bytes: usize,
}

impl Reading {
    /// Reads from the senders `first` to `last`; false once the page is full.
    fn read(&mut self, journal: &dyn Journal, first: u64, last: u64) -> Result<bool, String> {
        let mut next = first;
        loop {
            let (mut after, end) = (self.before(next), self.prefix.len());
            // A row is 20 bytes longer than its prefix: what is shorter sorts before all of them.
            if next == 0 {
                after.truncate(end);
            }
            let rows = journal.rows(Table::Outbox, Some(&after), MAIL_PAGE_OF_SENDER + 1);
            let rows = rows.map_err(|error| error.to_string())?;
            let Some(sender) = rows.first().and_then(|(key, _)| self.sender(key)) else {
                return Ok(true);
            };
            if sender > last {
                return Ok(true);
            }
            if !self.take(sender, rows)? {
                return Ok(false);
            }
            match sender.checked_add(1) {
                Some(following) => next = following,
                None => return Ok(true),
            }
        }
    }

    /// A key that sorts behind all rows of senders before `sender`.
    fn before(&self, sender: u64) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.extend(sender.saturating_sub(1).to_be_bytes());
        key.extend([u8::MAX; 12]);
        key
    }

    /// The sender of a row, if the row is for this receiver.
    fn sender(&self, key: &[u8]) -> Option<u64> {
        let bytes = key.strip_prefix(self.prefix.as_slice())?.get(..8)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Takes the first rows of one sender; false once the page is full.
    fn take(&mut self, sender: u64, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<bool, String> {
        let own = rows
            .into_iter()
            .filter(|(key, _)| self.sender(key) == Some(sender));
        let mut own: Vec<_> = own.map(|(_, value)| value).collect();
        if mutant!("message_overtakes") {
            own.reverse();
        }
        for (count, value) in own.into_iter().enumerate() {
            if count == MAIL_PAGE_OF_SENDER {
                self.page.full = true;
                return Ok(true);
            }
            if self.page.messages.len() >= MAIL_PAGE || self.bytes >= MAIL_PAGE_BYTES {
                self.page.full = true;
                return Ok(false);
            }
            let message: Message = decode_row(&value).map_err(|error| error.to_string())?;
            if let Some(kind) = self.kind.as_ref().filter(|kind| **kind != message.to_kind) {
                tracing::error!(
                    from = %message.from, to = %message.to, command = message.command,
                    "a message is for an actor of kind {:?}, which is of kind {kind:?}: it waits in the outbox, with all that its sender sends there after it",
                    message.to_kind
                );
                return Ok(true);
            }
            self.bytes += message.bytes();
            self.page.last = ActorNumber::new(sender);
            self.page.messages.push(message);
        }
        Ok(true)
    }
}

/// Counts the rows of the outbox and tells each worker which of its actors have mail.
pub(super) async fn load_outbox(
    shared: &Arc<Shared>,
    generation: u64,
    journal: &Arc<dyn Journal>,
) -> Result<(), crate::NodeError> {
    shared.mail.backlog.restart();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = shared.rows(journal, Table::Outbox, after, 1_024).await?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        let mut by_worker: Vec<BTreeMap<ActorId, String>> =
            vec![BTreeMap::new(); shared.ports.len()];
        for (_, value) in rows {
            let message: Message = decode_row(&value).map_err(|error| Error::Undecodable {
                what: "row of the outbox",
                cause: error.to_string(),
            })?;
            shared.mail.backlog.found(message.id);
            if let Some(share) = by_worker.get_mut(shared.worker_index(&message.to)) {
                share.insert(message.to, message.to_kind);
            }
        }
        for (port, receivers) in shared.ports.iter().zip(by_worker) {
            let found = Control::Mail(MailNews::Found {
                generation,
                receivers,
            });
            let sent = port.control.send(found).await;
            sent.map_err(|_| crate::NodeError::Stopped)?;
        }
        failpoint!("message.found");
    }
    shared.mail.backlog.counted();
    for port in &shared.ports {
        let searched = MailNews::Searched { generation };
        let sent = port.control.send(Control::Mail(searched)).await;
        sent.map_err(|_| crate::NodeError::Stopped)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_that_is_searched_again_is_not_counted_twice() {
        let from = ActorNumber::new(1).unwrap();
        let id = |entry| MessageId {
            from,
            entry,
            index: 0,
        };
        let backlog = Backlog::default();
        backlog.begin();
        backlog.found(id(1));
        backlog.sent(id(3));
        // The journal failed to tell the rest. The next search finds all three.
        backlog.restart();
        assert_eq!(backlog.total(), 1);
        for entry in 1..=3 {
            backlog.found(id(entry));
        }
        assert_eq!(backlog.settled_total(), None);
        backlog.counted();
        assert_eq!(backlog.settled_total(), Some(3));
        assert!(backlog.is_full(from, 3) && !backlog.is_full(from, 4));
    }
}
