//! Goal: whatever is set, cancelled, passes, jumps and restarts, in any order, exactly what a simple model
//! says fires. The model has one actor, no window, no threads and no journal.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use steadfast::{CatchUp, Cron, Timer, Timestamp};

use crate::bell::{Clocks, START, Tower, micros};

#[derive(Debug, Clone)]
enum Kind {
    After(u64),
    /// Seconds from now by the wall clock, perhaps past.
    At(i64),
    Every(u64, CatchUp),
    /// Each ten seconds.
    Cron(CatchUp),
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, Kind),
    Cancel(u8),
    Pass(u64),
    Jump(bool, u64),
    Restart(bool, u64),
    Reboot(u64),
}

fn kinds() -> impl Strategy<Value = Kind> {
    let policy = || prop_oneof![Just(CatchUp::Once), Just(CatchUp::All)];
    prop_oneof![
        (0_u64..90).prop_map(Kind::After),
        (-30_i64..90).prop_map(Kind::At),
        (1_u64..60, policy()).prop_map(|(period, policy)| Kind::Every(period, policy)),
        policy().prop_map(Kind::Cron),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0_u8..5, kinds()).prop_map(|(name, kind)| Step::Set(name, kind)),
        1 => (0_u8..5).prop_map(Step::Cancel),
        5 => (0_u64..120).prop_map(Step::Pass),
        2 => (any::<bool>(), 0_u64..200).prop_map(|(forward, by)| Step::Jump(forward, by)),
        // About as far as a clock may be behind before it has lost its time.
        1 => (3_400_u64..3_800).prop_map(|by| Step::Jump(false, by)),
        1 => (any::<bool>(), 0_u64..60).prop_map(|(clean, down)| Step::Restart(clean, down)),
        1 => (0_u64..60).prop_map(Step::Reboot),
    ];
    proptest::collection::vec(step, 1..24)
}

/// Seconds of both clocks, and which boot.
#[derive(Debug, Clone, Copy, Default)]
struct Now {
    wall: i64,
    running: i64,
    boot: usize,
}

#[derive(Debug)]
enum Due {
    Wall(i64),
    Boot { boot: usize, at: i64 },
}

#[derive(Debug)]
struct Pending {
    due: Due,
    kind: Kind,
}

#[derive(Debug, Default)]
struct Model {
    now: Now,
    /// When the process started.
    start: Now,
    /// What the clocks said when a timer was last set in a boot.
    anchors: BTreeMap<usize, Now>,
    pending: BTreeMap<String, Pending>,
}

impl Model {
    fn by_boot(&mut self, at: i64) -> Due {
        self.anchors.insert(self.now.boot, self.now);
        let boot = self.now.boot;
        Due::Boot { boot, at }
    }

    fn set(&mut self, name: String, kind: Kind) {
        let due = match kind {
            Kind::After(wait) | Kind::Every(wait, _) => {
                let at = self.now.running + i64::try_from(wait).unwrap();
                self.by_boot(at)
            }
            Kind::At(by) => Due::Wall(self.now.wall + by),
            Kind::Cron(_) => Due::Wall(self.now.wall.div_euclid(10) * 10 + 10),
        };
        self.pending.insert(name, Pending { due, kind });
    }

    /// How late a timer is; negative while it is not due.
    fn late(&self, due: &Due) -> i64 {
        match due {
            Due::Wall(at) => self.now.wall - at,
            Due::Boot { boot, at } if *boot == self.now.boot => self.now.running - at,
            Due::Boot { boot, at } => {
                let anchor = self.anchors[boot];
                let lost = anchor.wall - self.start.wall > 3_600;
                let aged = if lost {
                    self.start.running
                } else {
                    (self.start.wall - anchor.wall).max(0)
                };
                self.now.running - (self.start.running + at - anchor.running - aged)
            }
        }
    }

    /// Everything that fires now: name, and how many it missed.
    fn fire(&mut self) -> Vec<(String, u64)> {
        let mut fired = Vec::new();
        let names: Vec<String> = self.pending.keys().cloned().collect();
        for name in names {
            while let Some(pending) = self.pending.get(&name) {
                let late = self.late(&pending.due);
                if late < 0 {
                    break;
                }
                let (period, policy) = match pending.kind {
                    Kind::After(_) | Kind::At(_) => {
                        self.pending.remove(&name);
                        fired.push((name.clone(), 0));
                        break;
                    }
                    Kind::Every(period, policy) => (i64::try_from(period).unwrap(), policy),
                    Kind::Cron(policy) => (10, policy),
                };
                let passed = if policy == CatchUp::Once {
                    late / period
                } else {
                    0
                };
                fired.push((name.clone(), u64::try_from(passed).unwrap()));
                let steps = (passed + 1) * period;
                let next = match pending.due {
                    Due::Wall(at) => Due::Wall(at + steps),
                    Due::Boot { .. } => {
                        let at = self.now.running - late + steps;
                        self.by_boot(at)
                    }
                };
                self.pending.get_mut(&name).unwrap().due = next;
            }
        }
        fired.sort();
        fired
    }
}

fn seconds(by: u64) -> i64 {
    i64::try_from(by).unwrap()
}

fn timer(kind: &Kind, now: Now) -> Timer {
    match kind {
        Kind::After(wait) => Timer::after(Duration::from_secs(*wait)),
        Kind::At(by) => {
            let at = START.as_micros() + (now.wall + by) * 1_000_000;
            Timer::at(Timestamp::from_micros(at))
        }
        Kind::Every(period, policy) => Timer::every(Duration::from_secs(*period)).catch_up(*policy),
        Kind::Cron(policy) => {
            let cron = Cron::parse("*/10 * * * * *", "UTC").unwrap();
            Timer::cron(cron).catch_up(*policy)
        }
    }
}

async fn restarted(
    tower: Tower,
    model: &mut Model,
    clean: bool,
    meanwhile: impl FnOnce(&Clocks),
) -> Tower {
    let tower = tower.restart(clean, meanwhile).await;
    model.start = model.now;
    tower
}

async fn run(steps: Vec<Step>) {
    let mut tower = Tower::with(|config| config.timer_window = 2).await;
    let mut model = Model::default();
    let mut count = 0;
    for step in &steps {
        match step {
            Step::Set(name, kind) => {
                tower.set(&name.to_string(), timer(kind, model.now)).await;
                model.set(name.to_string(), kind.clone());
            }
            Step::Cancel(name) => {
                tower.cancel(&name.to_string()).await;
                model.pending.remove(&name.to_string());
            }
            Step::Pass(by) => {
                model.now.wall += seconds(*by);
                model.now.running += seconds(*by);
                tower.pass(Duration::from_secs(*by)).await;
            }
            Step::Jump(forward, by) => {
                model.now.wall += if *forward {
                    seconds(*by)
                } else {
                    -seconds(*by)
                };
                tower.jump(*forward, Duration::from_secs(*by)).await;
            }
            Step::Restart(clean, down) => {
                model.now.wall += seconds(*down);
                model.now.running += seconds(*down);
                let down = Duration::from_secs(*down);
                tower = restarted(tower, &mut model, *clean, |clocks| clocks.pass(down)).await;
            }
            Step::Reboot(off) => {
                model.now.wall += seconds(*off);
                model.now.running = 7;
                model.now.boot += 1;
                let off = Duration::from_secs(*off);
                tower = restarted(tower, &mut model, false, |clocks| clocks.reboot(off)).await;
            }
        }
        let expected = model.fire();
        let all = tower.wait_for(count + expected.len()).await;
        let mut seen: Vec<(String, u64)> = all[count..]
            .iter()
            .map(|rang| (rang.timer.clone(), rang.missed))
            .collect();
        seen.sort();
        assert_eq!(seen, expected, "after {step:?}");
        count = all.len();
        assert!(
            all.iter()
                .all(|rang| rang.late >= Duration::ZERO && micros(rang.late) >= 0)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 8,
        ..ProptestConfig::default()
    })]

    #[test]
    fn exactly_what_the_model_says_fires(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(steps));
    }
}
