//! What a node counts. Labels are bounded: kinds and outcomes, never names of actors.

mod hot;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use hot::Durations;
pub(crate) use hot::{DurationCounts, KindCounters};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindOutcome {
    kind: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindCommand {
    kind: String,
    command: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    op: String,
}

type PerKind<M> = Family<Kind, M>;

/// The node's metrics and the registry they stand in.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    commands: Family<KindOutcome, Counter>,
    command_duration: PerKind<Durations>,
    mailbox_rejected: PerKind<Counter>,
    journal_events: PerKind<Counter>,
    journal_bytes: Counter,
    journal_batch_events: Histogram,
    journal_append_duration: Histogram,
    actors: PerKind<Gauge>,
    journal_errors: Family<Operation, Counter>,
    effects: Family<KindOutcome, Counter>,
    snapshots: Family<KindOutcome, Counter>,
    replay_events: PerKind<Counter>,
    replay_duration: PerKind<Histogram>,
    quarantined: PerKind<Gauge>,
    messages: Family<KindOutcome, Counter>,
    outbox: Gauge,
    timers_held: Gauge,
    timers_fired: PerKind<Counter>,
    timer_lateness: PerKind<Histogram>,
    slow_handlers: Family<KindCommand, Counter>,
    resident_bytes: Gauge,
    evictions: PerKind<Counter>,
    recovery_overdue: PerKind<Counter>,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_001, 4.0, 14))
}

impl Metrics {
    pub(crate) fn new(start_time_us: i64) -> Self {
        let mut registry = Registry::with_prefix("steadfast");
        let started: Gauge = Gauge::default();
        started.set(start_time_us / 1_000_000);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What is running", build);
        registry.register(
            "start_time_seconds",
            "When the node started, Unix time",
            started,
        );
        let mut metrics = Self {
            commands: Family::default(),
            command_duration: Family::default(),
            mailbox_rejected: Family::default(),
            journal_events: Family::default(),
            journal_bytes: Counter::default(),
            journal_batch_events: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            journal_append_duration: seconds(),
            actors: Family::default(),
            journal_errors: Family::default(),
            effects: Family::default(),
            snapshots: Family::default(),
            replay_events: Family::default(),
            replay_duration: Family::new_with_constructor(seconds),
            quarantined: Family::default(),
            messages: Family::default(),
            outbox: Gauge::default(),
            timers_held: Gauge::default(),
            timers_fired: Family::default(),
            timer_lateness: Family::new_with_constructor(seconds),
            slow_handlers: Family::default(),
            resident_bytes: Gauge::default(),
            evictions: Family::default(),
            recovery_overdue: Family::default(),
            registry,
        };
        metrics.register();
        metrics.register_messages();
        for op in ["commit", "open"] {
            drop(metrics.journal_errors.get_or_create(&operation(op)));
        }
        metrics
    }

    /// Lets the series of a kind that tell of trouble begin at 0: to whoever watches a counter rise, one that appears
    /// with its first error has not risen.
    pub(crate) fn begin<'a>(&self, kind: &str, commands: impl Iterator<Item = &'a str>) {
        let of = |outcome| kind_outcome(kind, outcome);
        for outcome in ["ok", "error", "unknown", "retried"] {
            drop(self.effects.get_or_create(&of(outcome)));
        }
        for outcome in ["stored", "failed", "rejected"] {
            drop(self.snapshots.get_or_create(&of(outcome)));
        }
        let kind = label(kind);
        drop(self.quarantined.get_or_create(&kind));
        drop(self.mailbox_rejected.get_or_create(&kind));
        drop(self.timer_lateness.get_or_create(&kind));
        drop(self.recovery_overdue.get_or_create(&kind));
        for command in commands {
            let labels = kind_command(&kind.kind, command);
            drop(self.slow_handlers.get_or_create(&labels));
        }
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "commands",
            "Commands by how they ended",
            self.commands.clone(),
        );
        registry.register_with_unit(
            "command_duration",
            "Time in the handler",
            Unit::Seconds,
            self.command_duration.clone(),
        );
        registry.register(
            "mailbox_rejected",
            "Commands refused because the mailbox was full",
            self.mailbox_rejected.clone(),
        );
        registry.register(
            "journal_events",
            "Events handed to the journal",
            self.journal_events.clone(),
        );
        registry.register_with_unit(
            "journal",
            "Bytes of entries and rows that became durable",
            Unit::Bytes,
            self.journal_bytes.clone(),
        );
        registry.register(
            "journal_batch_events",
            "Events in one worker's batch",
            self.journal_batch_events.clone(),
        );
        registry.register_with_unit(
            "journal_append_duration",
            "Time from handing a batch to the journal until it is durable",
            Unit::Seconds,
            self.journal_append_duration.clone(),
        );
        registry.register("actors", "Actors in memory", self.actors.clone());
        registry.register(
            "journal_errors",
            "Failures of the journal",
            self.journal_errors.clone(),
        );
        registry.register("effects", "Effects by how they ended", self.effects.clone());
        registry.register(
            "snapshots",
            "Snapshots by what became of them",
            self.snapshots.clone(),
        );
        registry.register(
            "replay_events",
            "Events applied in recoveries",
            self.replay_events.clone(),
        );
        registry.register_with_unit(
            "replay_duration",
            "Time to recover one actor",
            Unit::Seconds,
            self.replay_duration.clone(),
        );
        self.register_supervision();
    }

    fn register_supervision(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "quarantined",
            "Actors that are set aside",
            self.quarantined.clone(),
        );
        registry.register(
            "slow_handlers",
            "Commands whose handler took longer than slow_handler",
            self.slow_handlers.clone(),
        );
        self.register_timers();
        self.register_residency();
    }

    fn register_timers(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "timers_in_memory",
            "Pending timers in memory; more may wait on disk",
            self.timers_held.clone(),
        );
        registry.register(
            "timers_fired",
            "Timers whose command was sent to its actor",
            self.timers_fired.clone(),
        );
        registry.register_with_unit(
            "timer_lateness",
            "Time from when a timer was due until its command was sent",
            Unit::Seconds,
            self.timer_lateness.clone(),
        );
    }

    fn register_messages(&mut self) {
        self.registry.register(
            "messages",
            "Messages between actors that were sent and taken, by the kind that did",
            self.messages.clone(),
        );
        self.registry.register(
            "outbox",
            "Messages that were sent and not taken yet",
            self.outbox.clone(),
        );
    }

    fn register_residency(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "resident",
            "Estimated memory of the actors in memory",
            Unit::Bytes,
            self.resident_bytes.clone(),
        );
        registry.register(
            "evictions",
            "Actors that left memory to make room",
            self.evictions.clone(),
        );
        registry.register(
            "recovery_overdue",
            "Times that a recovery took longer than recovery_watchdog",
            self.recovery_overdue.clone(),
        );
    }

    /// The text that Prometheus scrapes (OpenMetrics 1.0).
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => {
                tracing::error!(%error, "metrics could not be encoded");
                String::new()
            }
        }
    }

    pub(crate) fn command(&self, kind: &str, outcome: &str) {
        self.commands
            .get_or_create(&kind_outcome(kind, outcome))
            .inc();
    }

    /// A command ran to its end; it may have been rejected.
    pub(crate) fn ended(&self, kind: &str, counters: &KindCounters, rejected: bool, count: u64) {
        let (counter, outcome) = if rejected {
            (&counters.rejected, "rejected")
        } else {
            (&counters.ok, "ok")
        };
        counter
            .get_or_init(|| {
                let labels = kind_outcome(kind, outcome);
                self.commands.get_or_create_owned(&labels)
            })
            .inc_by(count);
    }

    pub(crate) fn handled(&self, kind: &str, counters: &KindCounters, took: &DurationCounts) {
        counters
            .took
            .get_or_init(|| self.command_duration.get_or_create_owned(&label(kind)))
            .add(took);
    }

    pub(crate) fn mailbox_rejected(&self, kind: &str) {
        self.mailbox_rejected.get_or_create(&label(kind)).inc();
    }

    pub(crate) fn events(&self, kind: &str, counters: &KindCounters, count: u64) {
        counters
            .events
            .get_or_init(|| self.journal_events.get_or_create_owned(&label(kind)))
            .inc_by(count);
    }

    /// A worker's batch became durable `took` after it was handed over.
    pub(crate) fn committed(&self, events: usize, bytes: usize, took: Duration) {
        self.journal_bytes.inc_by(bytes as u64);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch holds far fewer than 2^52 events"
        )]
        self.journal_batch_events.observe(events as f64);
        self.journal_append_duration.observe(took.as_secs_f64());
    }

    /// An actor came into memory, or left it.
    pub(crate) fn resident(&self, kind: &str, change: i64) {
        self.actors.get_or_create(&label(kind)).inc_by(change);
    }

    /// The estimates of actors changed by so many bytes.
    pub(crate) fn resident_bytes(&self, change: i64) {
        self.resident_bytes.inc_by(change);
    }

    pub(crate) fn evicted(&self, kind: &str) {
        self.evictions.get_or_create(&label(kind)).inc();
    }

    pub(crate) fn recovery_overdue(&self, kind: &str) {
        self.recovery_overdue.get_or_create(&label(kind)).inc();
    }

    pub(crate) fn journal_error(&self, op: &str) {
        self.journal_errors.get_or_create(&operation(op)).inc();
    }

    pub(crate) fn effect(&self, kind: &str, outcome: &str) {
        self.effects
            .get_or_create(&kind_outcome(kind, outcome))
            .inc();
    }

    pub(crate) fn snapshot(&self, kind: &str, outcome: &str) {
        self.snapshots
            .get_or_create(&kind_outcome(kind, outcome))
            .inc();
    }

    pub(crate) fn replayed(&self, kind: &str, events: u64, took: Duration) {
        self.replay_events
            .get_or_create(&label(kind))
            .inc_by(events);
        self.replay_duration
            .get_or_create(&label(kind))
            .observe(took.as_secs_f64());
    }

    pub(crate) fn message(&self, kind: &str, outcome: &str) {
        self.messages
            .get_or_create(&kind_outcome(kind, outcome))
            .inc();
    }

    pub(crate) fn outbox(&self, waiting: u64) {
        self.outbox.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    pub(crate) fn slow_handler(&self, kind: &str, command: &str) {
        self.slow_handlers
            .get_or_create(&kind_command(kind, command))
            .inc();
    }

    /// An actor was set aside, or is no longer.
    pub(crate) fn quarantined(&self, kind: &str, change: i64) {
        self.quarantined.get_or_create(&label(kind)).inc_by(change);
    }

    /// A worker held `before` timers in memory and holds `now`.
    pub(crate) fn timers_held(&self, before: usize, now: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.timers_held.inc_by(number(now) - number(before));
    }

    pub(crate) fn timer_fired(&self, kind: &str, late: Duration) {
        self.timers_fired.get_or_create(&label(kind)).inc();
        self.timer_lateness
            .get_or_create(&label(kind))
            .observe(late.as_secs_f64());
    }
}

fn label(kind: &str) -> Kind {
    Kind {
        kind: kind.to_owned(),
    }
}

fn operation(op: &str) -> Operation {
    Operation { op: op.to_owned() }
}

fn kind_command(kind: &str, command: &str) -> KindCommand {
    KindCommand {
        kind: kind.to_owned(),
        command: command.to_owned(),
    }
}

fn kind_outcome(kind: &str, outcome: &str) -> KindOutcome {
    KindOutcome {
        kind: kind.to_owned(),
        outcome: outcome.to_owned(),
    }
}
