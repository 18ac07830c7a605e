//! The world that the tests put in place of the network, and a node with one patrol in it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use steadfast::testkit::{FakeEffect, TestNode};
use steadfast::{Command, EffectError, EffectId, Event as _, Handle, NodeBuilder, Timestamp};

use crate::concern::{Configure, Trigger};
use crate::patrol::message::key;
use crate::patrol::{
    Check, Checked, Failure, FailureKind, Notice, NoticeState, Notify, NotifyRetry, Patrol,
    PatrolConfig, PatrolEvent, SendNotice, Target, register,
};

/// Where nobody takes notifications; the mistake that somebody makes.
pub(super) const WRONG: &str = "http://hook/typo";

/// The world: which targets are down, and what the webhook was sent.
#[derive(Debug, Clone, Default)]
pub(super) struct World(pub(super) Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) down: BTreeSet<String>,
    pub(super) expires: Option<Timestamp>,
    /// How many posts are still to be refused.
    refusals: u32,
    /// All that arrived, also what was refused.
    pub(super) posts: Vec<(String, SendNotice)>,
}

impl World {
    pub(super) fn set_down(&self, targets: &[&str]) {
        self.0.lock().unwrap().down = targets.iter().map(|name| (*name).to_owned()).collect();
    }

    pub(super) fn refuse(&self, posts: u32) {
        self.0.lock().unwrap().refusals = posts;
    }

    pub(super) fn check(&self, check: &Check) -> Vec<Checked> {
        let inner = self.0.lock().unwrap();
        let one = |target: &String| {
            let down = inner.down.contains(target);
            Checked {
                target: target.clone(),
                status: Some(if down { 503 } else { 200 }),
                latency_ms: 5,
                tls_expires: inner.expires,
                failure: down.then(|| Failure::new(FailureKind::Status, "503, not 200-399")),
            }
        };
        check
            .probes
            .iter()
            .map(|probe| one(&probe.target))
            .collect()
    }

    pub(super) fn post(&self, id: &EffectId, send: SendNotice) -> Result<u16, EffectError> {
        let mut inner = self.0.lock().unwrap();
        let wrong = send.to.webhook == WRONG;
        inner.posts.push((key(id, &send.notice), send));
        if wrong {
            return Err(EffectError::retryable("the webhook answered 404"));
        }
        if inner.refusals > 0 {
            inner.refusals -= 1;
            return Err(EffectError::retryable("the webhook answered 500"));
        }
        Ok(204)
    }

    pub(super) fn arrivals(&self) -> usize {
        self.0.lock().unwrap().posts.len()
    }

    /// What a receiver has that drops what it knows.
    pub(super) fn received(&self) -> Vec<(String, Notice)> {
        let mut known: Vec<String> = Vec::new();
        let mut received = Vec::new();
        for (key, send) in &self.0.lock().unwrap().posts {
            if send.to.webhook != WRONG && !known.contains(key) {
                known.push(key.clone());
                received.push((send.target.clone(), send.notice.clone()));
            }
        }
        received
    }

    pub(super) fn states(&self) -> Vec<NoticeState> {
        self.received()
            .into_iter()
            .map(|(_, notice)| notice.state)
            .collect()
    }
}

/// Puts the world in place of the network; the fake webhook.
pub(super) fn fakes(node: &TestNode, world: &World) -> FakeEffect<SendNotice> {
    let checks = world.clone();
    node.fake::<Check>(|| {
        FakeEffect::new().then(move |check, _| std::future::ready(Ok(checks.check(&check))))
    });
    let hook = world.clone();
    node.fake::<SendNotice>(|| {
        FakeEffect::new().then(move |send, cx| std::future::ready(hook.post(cx.id(), send)))
    })
}

pub(super) fn build(builder: NodeBuilder) -> NodeBuilder {
    register(builder)
}

/// Alerts after 2, resolves after 2, retries soon.
pub(super) fn config(targets: &[&str]) -> PatrolConfig {
    let named = |name: &&str| Target {
        name: Some((*name).to_owned()),
        ..Target::new(format!("http://{name}/"))
    };
    PatrolConfig {
        targets: targets.iter().map(named).collect(),
        alert_after: 2,
        resolve_after: 2,
        notify: Some(Notify {
            retry: NotifyRetry {
                attempts: 3,
                ..NotifyRetry::default()
            },
            ..Notify::new("http://hook/")
        }),
        ..PatrolConfig::new::<String>([])
    }
}

pub(super) struct Bench {
    pub(super) node: TestNode,
    pub(super) world: World,
    pub(super) hook: FakeEffect<SendNotice>,
}

impl Bench {
    pub(super) fn new(config: &PatrolConfig) -> Self {
        let (node, world) = (TestNode::new(build), World::default());
        let hook = fakes(&node, &world);
        let bench = Self { node, world, hook };
        bench.configure(config);
        bench
    }

    /// The answer to a command that is not rejected.
    pub(super) fn ask<C: Command>(&self, command: C) -> C::Reply
    where
        Patrol: Handle<C>,
        C::Rejection: Serialize,
    {
        let actor = self.node.actor::<Patrol>("p");
        let answer = self.node.block_on(async { actor.ask(command).await });
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn configure(&self, config: &PatrolConfig) {
        self.ask(Configure(config.clone()));
    }

    /// Lets the node do what is ready.
    pub(super) fn settle(&self) {
        self.node.block_on(self.node.settle()).unwrap();
    }

    /// One run to its end with these targets down; effects that are due are done as well.
    pub(super) fn run(&self, down: &[&str]) {
        self.world.set_down(down);
        self.trigger(false);
        self.settle();
    }

    pub(super) fn trigger(&self, dry_run: bool) {
        let by = "test".to_owned();
        self.ask(Trigger { dry_run, by });
    }

    pub(super) fn advance(&self, by: Duration) {
        self.node.block_on(self.node.advance(by)).unwrap();
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        let events = self.node.events::<Patrol>("p");
        events.iter().map(PatrolEvent::name).collect()
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|other| **other == name).count()
    }

    pub(super) fn state(&self) -> Patrol {
        self.node.state("p")
    }
}
