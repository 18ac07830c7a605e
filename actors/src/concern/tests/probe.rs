//! The smallest kind of concern: each run is one effect that waits until the test lets it go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, ActorRef, Clock, Done, Effect, EffectContext, EffectError, Event, Handle, KindBuilder,
    Live, Never, Node, NodeBuilder, Outcome, SequenceNumber, Timestamp,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::concern::{
    Concern, ConcernView, ConfigError, Configure, Configured, Describe, Finished, Kind, Missed,
    Overlap, Paused, Resumed, RunId, RunOutcome, SPACE, Schedule, Settings, Started, Stopping,
    TickMissed, TickQueued, TickSkipped, finish, register,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProbeConfig {
    pub(super) hours: Option<u64>,
    pub(super) missed: Missed,
    pub(super) overlap: Overlap,
    pub(super) note: u64,
}

impl Settings for ProbeConfig {
    const STOPS: bool = true;

    fn schedule(&self) -> Schedule {
        let every = self.hours.map(|hours| Duration::from_secs(hours * 3_600));
        Schedule {
            missed: self.missed,
            overlap: self.overlap,
            ..Schedule::every(every)
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if self.hours == Some(0) {
            return Err(ConfigError::new("hours", "must not be 0"));
        }
        Ok(())
    }
}

#[derive(Debug, Event)]
#[event(prefix = "probe.")]
pub(super) enum ProbeEvent {
    Configured(Configured<ProbeConfig>),
    Paused(Paused),
    Resumed(Resumed),
    Started(Started),
    TickMissed(TickMissed),
    TickSkipped(TickSkipped),
    TickQueued(TickQueued),
    Stopping(Stopping),
    Finished(Finished<()>),
}

#[derive(Debug)]
pub(super) enum Probe {}

impl Kind for Probe {
    const NAME: &'static str = "probe";
    type Config = ProbeConfig;
    type Event = ProbeEvent;
    type Totals = ();
    type Work = ();
    type Report = ();

    fn effects(kind: KindBuilder<Concern<Self>>) -> KindBuilder<Concern<Self>> {
        kind.effect::<Wait>()
    }

    fn apply(concern: &mut Concern<Self>, event: &ProbeEvent) {
        match event {
            ProbeEvent::Configured(event) => concern.configured(event),
            ProbeEvent::Paused(event) => concern.paused(event),
            ProbeEvent::Resumed(event) => concern.resumed(event),
            ProbeEvent::Started(event) => concern.started(event, ()),
            ProbeEvent::TickMissed(event) => concern.tick_missed(event),
            ProbeEvent::TickSkipped(event) => concern.tick_skipped(event),
            ProbeEvent::TickQueued(event) => concern.tick_queued(event),
            ProbeEvent::Stopping(event) => concern.stop_wanted(event),
            ProbeEvent::Finished(event) => concern.finished(event),
        }
    }

    fn begin(live: &mut Live<'_, Concern<Self>>) {
        if let Some(run) = live.current().map(|run| run.id.clone()) {
            live.run(Wait { run });
        }
    }

    fn stop(live: &mut Live<'_, Concern<Self>>) {
        let reason = live.stopping().map(ToString::to_string);
        finish(live, RunOutcome::Cancelled, reason, ());
    }
}

/// Ends when the test releases it, fails when the test closes the gate.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wait {
    run: RunId,
}

impl Effect for Wait {
    const NAME: &'static str = "probe.wait";
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        let gate = cx.resource::<Arc<Semaphore>>()?;
        let passed = gate.acquire().await;
        passed
            .map(SemaphorePermit::forget)
            .map_err(|error| EffectError::fatal(error.to_string()))
    }
}

impl Handle<Done<Wait>> for Concern<Probe> {
    fn handle(live: &mut Live<'_, Self>, done: Done<Wait>) -> Result<(), Never> {
        if live.current().is_none_or(|run| run.id != done.effect.run) {
            return Ok(());
        }
        let outcome = match done.outcome {
            Outcome::Succeeded(()) => RunOutcome::Succeeded,
            Outcome::Failed { .. } => RunOutcome::Failed,
            Outcome::Unknown => RunOutcome::Unknown,
        };
        finish(live, outcome, None, ());
        Ok(())
    }
}

/// Wall and running clock together, since a moment of 2027.
#[derive(Debug, Clone, Default)]
struct HandClock(Arc<Mutex<Duration>>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus(self.running())
    }

    fn running(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

/// A node with one probe.
pub(super) struct Bench {
    storage: MemoryStorage,
    clock: HandClock,
    gate: Arc<Semaphore>,
    node: Node,
}

impl Bench {
    pub(super) async fn start() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        Self::on(MemoryStorage::new(), HandClock::default(), gate).await
    }

    async fn on(storage: MemoryStorage, clock: HandClock, gate: Arc<Semaphore>) -> Self {
        let builder = NodeBuilder::from(storage.clone());
        let builder = builder.clock(clock.clone()).resource(Arc::clone(&gate));
        let node = register::<Probe>(builder).start().await.unwrap();
        Self {
            storage,
            clock,
            gate,
            node,
        }
    }

    pub(super) fn actor(&self) -> ActorRef<Concern<Probe>> {
        self.node.actor_in(SPACE, "test")
    }

    /// Whether it changed anything.
    pub(super) async fn configure(&self, config: ProbeConfig) -> bool {
        self.actor().ask(Configure(config)).await.unwrap().changed
    }

    pub(super) async fn view(&self) -> ConcernView {
        self.actor().ask(Describe {}).await.unwrap()
    }

    /// Asks until it is as wished.
    pub(super) async fn until(&self, wished: impl Fn(&ConcernView) -> bool) -> ConcernView {
        loop {
            let view = self.view().await;
            if wished(&view) {
                return view;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Lets this many runs end.
    pub(super) fn release(&self, runs: usize) {
        self.gate.add_permits(runs);
    }

    /// Lets all runs fail.
    pub(super) fn refuse(&self) {
        self.gate.close();
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A node looks at its timers when it starts: ticks come with the next one.
    pub(super) fn advance(&self, by: Duration) {
        *self.clock.0.lock().unwrap() += by;
    }

    /// The node is ended in order and comes back `down` later.
    pub(super) async fn restart_after(self, down: Duration) -> Self {
        self.node.shutdown().await.unwrap();
        self.advance(down);
        Self::on(self.storage, self.clock, self.gate).await
    }

    /// The node is cut off and comes back `down` later.
    pub(super) async fn crash(self, down: Duration) -> Self {
        self.storage.crash();
        drop(self.node);
        *self.clock.0.lock().unwrap() += down;
        Self::on(self.storage, self.clock, self.gate).await
    }

    pub(super) fn events(&self) -> Vec<ProbeEvent> {
        let id = ActorId::new(SPACE, "test").unwrap();
        let inspector = self.node.inspect().unwrap();
        let views = inspector
            .events(&id, SequenceNumber::FIRST, usize::MAX)
            .unwrap();
        let decode = |view: steadfast::EventView| {
            // Through JSON, as the journal's bytes are not shown: both forms read the same types.
            let data = view.data;
            match view.name.as_str() {
                "probe.configured" => ProbeEvent::Configured(serde_json::from_value(data).unwrap()),
                "probe.paused" => ProbeEvent::Paused(serde_json::from_value(data).unwrap()),
                "probe.resumed" => ProbeEvent::Resumed(serde_json::from_value(data).unwrap()),
                "probe.started" => ProbeEvent::Started(serde_json::from_value(data).unwrap()),
                "probe.tick_missed" => {
                    ProbeEvent::TickMissed(serde_json::from_value(data).unwrap())
                }
                "probe.tick_skipped" => {
                    ProbeEvent::TickSkipped(serde_json::from_value(data).unwrap())
                }
                "probe.tick_queued" => {
                    ProbeEvent::TickQueued(serde_json::from_value(data).unwrap())
                }
                "probe.stopping" => ProbeEvent::Stopping(serde_json::from_value(data).unwrap()),
                _ => ProbeEvent::Finished(serde_json::from_value(data).unwrap()),
            }
        };
        views.into_iter().map(decode).collect()
    }
}
