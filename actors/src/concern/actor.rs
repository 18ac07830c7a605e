//! The actor that every concern is: the state of the shell around one kind's runs.

use std::collections::VecDeque;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Event, KindBuilder, Live, NodeBuilder, StatefulActor, Timestamp};

use super::{
    Attention, Cancel, Cause, Check, ConcernStatus, Configure, Configured, Describe, Finished,
    Pause, Paused, Resume, Resumed, Retire, Run, Schedule, Settings, Started, StopReason, Stopping,
    Tick, TickMissed, TickQueued, TickSkipped, Trigger, tally,
};

/// What one kind of concern adds to the shell.
pub trait Kind: fmt::Debug + Sized + 'static {
    /// Stable name: [`StatefulActor::KIND`], and `kind` in the config file.
    const NAME: &'static str;

    /// Its configuration.
    type Config: Settings;

    /// All its events: those of the shell and its own.
    type Event: Event
        + From<Configured<Self::Config>>
        + From<Paused>
        + From<Resumed>
        + From<Started>
        + From<TickMissed>
        + From<TickSkipped>
        + From<TickQueued>
        + From<Stopping>
        + From<Finished<Self::Report>>;

    /// What it counts over all its runs.
    type Totals: Serialize + DeserializeOwned + fmt::Debug + Default + Send + 'static;

    /// How far the current run is. Must stay bounded.
    type Work: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;

    /// What a finished run has done.
    type Report: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;

    /// Registers the effects that its runs are made of.
    fn effects(kind: KindBuilder<Concern<Self>>) -> KindBuilder<Concern<Self>>;

    /// Takes one event into the state; the shell's events go to the methods of [`Concern`].
    fn apply(concern: &mut Concern<Self>, event: &Self::Event);

    /// Asks for the first effect of the run that was just started.
    fn begin(live: &mut Live<'_, Concern<Self>>);

    /// Has the current run end soon; [`Concern::stopping`] tells why. Called once a run at most, and only
    /// where [`Settings::STOPS`]. A kind that looks at [`Concern::stopping`] between its steps has
    /// nothing to do here.
    fn stop(live: &mut Live<'_, Concern<Self>>) {
        let _ = live;
    }

    /// Another configuration holds than `before`; called in the command that brought it.
    fn reconfigured(live: &mut Live<'_, Concern<Self>>, before: Option<&Self::Config>) {
        let _ = (live, before);
    }

    /// Nothing names the concern any more, and it is paused: whoever waits to be told of an end is told. May be called
    /// again when there is nothing left to tell.
    fn retired(live: &mut Live<'_, Concern<Self>>) {
        let _ = live;
    }

    /// Why somebody should look although all runs succeed.
    fn attention(concern: &Concern<Self>) -> Option<Attention> {
        let _ = concern;
        None
    }

    /// What `describe` says beyond what all concerns have; JSON, and a contract.
    fn detail(concern: &Concern<Self>) -> Option<serde_json::Value> {
        let _ = concern;
        None
    }
}

/// A concern: one actor with a schedule, at most one run at a time, and its history in short.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Concern<K: Kind> {
    pub(super) actor: ActorId,
    pub(super) config: Option<K::Config>,
    pub(super) paused: bool,
    pub(super) current: Option<Run>,
    /// Whether the current run only shows what it would do.
    pub(super) dry_run: bool,
    pub(super) last_run: Option<Run>,
    pub(super) next_run: Option<Timestamp>,
    /// Why the current run is to end before its work is done.
    #[serde(default)]
    pub(super) stopping: Option<StopReason>,
    /// When the ticks were due that wait for the end of the current run.
    // Invariant: empty where no run is going.
    #[serde(default)]
    pub(super) waiting: VecDeque<Timestamp>,
    pub(super) runs: u64,
    pub(crate) totals: K::Totals,
    // Invariant: `Some` exactly while `current` is.
    pub(crate) work: Option<K::Work>,
}

/// Adds concerns of kind `K` to a node: the shell's commands, and the kind's effects.
#[must_use]
pub fn register<K: Kind>(node: NodeBuilder) -> NodeBuilder {
    tally::begin(K::NAME);
    node.register::<Concern<K>>(|kind| {
        let kind = kind
            .command::<Configure<K::Config>>()
            .command::<Check<K::Config>>()
            .command::<Trigger>()
            .command::<Cancel>()
            .command::<Pause>()
            .command::<Resume>()
            .command::<Retire>()
            .command::<Tick>()
            .command::<Describe>();
        K::effects(kind)
    })
}

impl<K: Kind> StatefulActor for Concern<K> {
    const KIND: &'static str = K::NAME;
    type Event = K::Event;

    fn new(id: &ActorId) -> Self {
        Self {
            actor: id.clone(),
            config: None,
            paused: false,
            current: None,
            dry_run: false,
            last_run: None,
            next_run: None,
            stopping: None,
            waiting: VecDeque::new(),
            runs: 0,
            totals: K::Totals::default(),
            work: None,
        }
    }

    fn apply(&mut self, event: &K::Event) {
        K::apply(self, event);
    }
}

/// What is known about it.
impl<K: Kind> Concern<K> {
    /// Its configuration; `None` before the first.
    #[must_use]
    pub fn config(&self) -> Option<&K::Config> {
        self.config.as_ref()
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The run that is going.
    #[must_use]
    pub fn current(&self) -> Option<&Run> {
        self.current.as_ref()
    }

    /// Whether the current run only shows what it would do.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Why the current run is to end before its work is done; `None` if it is not.
    #[must_use]
    pub fn stopping(&self) -> Option<&StopReason> {
        self.stopping.as_ref()
    }

    /// When the ticks were due that wait for the end of the current run, in the order in which they get
    /// runs of their own.
    #[must_use]
    pub fn waiting(&self) -> &VecDeque<Timestamp> {
        &self.waiting
    }

    /// The run that ended last.
    #[must_use]
    pub fn last_run(&self) -> Option<&Run> {
        self.last_run.as_ref()
    }

    /// When the next tick is due.
    #[must_use]
    pub fn next_run(&self) -> Option<Timestamp> {
        self.next_run
    }

    /// What it counted over all its runs.
    #[must_use]
    pub fn totals(&self) -> &K::Totals {
        &self.totals
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> ConcernStatus {
        match (&self.current, self.paused) {
            (Some(_), _) => ConcernStatus::Running,
            (None, true) => ConcernStatus::Paused,
            (None, false) => ConcernStatus::Idle,
        }
    }

    pub(super) fn schedule(&self) -> Option<Schedule> {
        self.config.as_ref().map(Settings::schedule)
    }
}

/// The shell's events, for [`Kind::apply`].
impl<K: Kind> Concern<K> {
    /// Takes `configured` in.
    pub fn configured(&mut self, event: &Configured<K::Config>) {
        self.config = Some(event.config.clone());
        self.next_run = event.next_run;
    }

    /// Takes `paused` in.
    pub fn paused(&mut self, _: &Paused) {
        self.paused = true;
        self.waiting.clear();
        self.next_run = None;
    }

    /// Takes `resumed` in.
    pub fn resumed(&mut self, event: &Resumed) {
        self.paused = false;
        self.next_run = event.next_run;
    }

    /// Takes `started` in. `work` is where the run begins.
    pub fn started(&mut self, event: &Started, work: K::Work) {
        self.runs += 1;
        self.next_run = event.next_run;
        self.work = Some(work);
        self.dry_run = event.dry_run;
        if let Cause::Tick { due } = event.cause
            && self.waiting.front() == Some(&due)
        {
            self.waiting.pop_front();
        }
        self.current = Some(Run {
            id: event.run.clone(),
            actor: self.actor.clone(),
            started: event.started,
            finished: None,
            outcome: None,
        });
    }

    /// Takes `tick_missed` in.
    pub fn tick_missed(&mut self, event: &TickMissed) {
        self.next_run = event.next_run;
    }

    /// Takes `tick_skipped` in.
    pub fn tick_skipped(&mut self, event: &TickSkipped) {
        self.next_run = event.next_run;
    }

    /// Takes `tick_queued` in.
    pub fn tick_queued(&mut self, event: &TickQueued) {
        self.next_run = event.next_run;
        self.waiting.push_back(event.due);
    }

    /// Takes `stopping` in.
    pub fn stop_wanted(&mut self, event: &Stopping) {
        self.stopping = Some(event.reason.clone());
    }

    /// Takes `finished` in and drops what the run had planned.
    pub fn finished(&mut self, event: &Finished<K::Report>) {
        self.current = None;
        self.work = None;
        self.stopping = None;
        self.dry_run = false;
        self.last_run = Some(Run {
            id: event.run.clone(),
            actor: self.actor.clone(),
            started: event.started,
            finished: Some(event.finished),
            outcome: Some(event.outcome),
        });
    }
}
