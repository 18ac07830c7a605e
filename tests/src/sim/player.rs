//! Draws the steps of a seed and does them.

use std::num::NonZeroUsize;
use std::time::Duration;

use steadfast::Clock;
use steadfast::testkit::{CommitFault, Crashed, FaultPlan, SimNode};
use tokio::task::{LocalSet, yield_now};

use super::Played;
use super::cell::{CELLS, Extra, World, kind};
use super::client::{Client, Operation};
use super::oracle;
use super::sometimes::Sometimes;
use super::walls::Walls;
use crate::dice::Dice;

/// Steps of one seed.
pub const STEPS: u64 = 60;
/// Time that lets everything come back at the end, drawn in several goes.
const ENOUGH: Duration = Duration::from_secs(3_600);
/// Turns of the client's tasks that bring a question to its worker, or an answer back.
const YIELDS: usize = 4;
/// More commits than one step brings about.
const MANY: u64 = 100;
/// In milliseconds.
const HOUR: u64 = 3_600_000;
/// The same.
const YEAR: u64 = 365 * 24 * HOUR;
/// Attempts to have an operation's outcome at the end.
const ATTEMPTS: usize = 8;

/// When commits become durable, where nothing goes wrong.
#[derive(Debug, Clone, Copy)]
enum Disk {
    /// In a step of their own.
    Held,
    /// Once so much time has passed.
    Slow(Duration),
    /// At the end of each step.
    Quick,
}

pub(super) struct Player {
    dice: Dice,
    node: SimNode,
    world: World,
    local: LocalSet,
    client: Client,
    disk: Disk,
    /// Whether the steps are over: from then on nothing waits.
    over: bool,
    /// When the node was opened again, on the running clock.
    openings: Vec<Duration>,
    walls: Walls,
    next_op: u64,
    sometimes: Sometimes,
}

impl Player {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::default();
        let resource = world.clone();
        let snapshot_every = 1 + dice.roll(8);
        let disk = match dice.roll(8) {
            0..5 => Disk::Held,
            5 => Disk::Slow(Duration::from_millis(1 + dice.roll(400))),
            _ => Disk::Quick,
        };
        // Few enough at times that they wait for each other.
        let effects = 1 + usize::try_from(dice.roll(4)).unwrap_or(0);
        let workers = NonZeroUsize::MIN.saturating_add(usize::try_from(dice.roll(3)).unwrap_or(0));
        let node = SimNode::new(seed, move |node| {
            node.register(kind)
                .resource(resource.clone())
                .config(|config| {
                    config.workers = workers;
                    config.effects = effects;
                    config.snapshot_every = snapshot_every;
                    config.passivate_after = Duration::from_secs(1);
                })
        });
        let walls = Walls::of(node.clock());
        let mut player = Self {
            dice,
            node,
            world,
            local: LocalSet::new(),
            client: Client::default(),
            disk,
            over: false,
            openings: Vec::new(),
            walls,
            next_op: 1,
            sometimes: Sometimes::default(),
        };
        player.node.storage().commit_alone();
        player.node.reopen();
        player.plan(FaultPlan::new());
        player
    }

    pub(super) fn play(mut self) -> Result<Played, String> {
        for _ in 0..STEPS {
            self.step()?;
            self.come_to_rest()?;
            if matches!(self.disk, Disk::Quick) {
                self.let_all_go()?;
            }
        }
        self.finish()?;
        let told = self.client.told.borrow();
        let judged = oracle::judge(
            &self.node,
            &told,
            &self.world.runs(),
            &self.openings,
            &self.walls,
        );
        let mut sometimes = self.sometimes;
        sometimes += judged.sometimes;
        if judged.faults.is_empty() {
            Ok(Played {
                sometimes,
                turns: self.node.turns(),
            })
        } else {
            Err(judged.faults.join("\n"))
        }
    }

    fn step(&mut self) -> Result<(), String> {
        match self.dice.roll(100) {
            0..40 => self.ask_some()?,
            40..48 => self.ask_again(),
            48..54 => self.look(),
            54..72 => self.let_go()?,
            72..80 => self.pass_time(),
            80..84 => self.fail_in_a_write()?,
            84..87 => self.cut_power(),
            87..91 => self.fail_a_sync(),
            91..93 => self.fill_the_disk(),
            93..95 => self.fail_reads(),
            95..97 => self.passivate(),
            97 => self.jump(),
            _ => self.restart(),
        }
        Ok(())
    }

    /// Each is brought to its mailbox before the next one is asked.
    fn ask_some(&mut self) -> Result<(), String> {
        let at_once = match self.dice.roll(4) {
            0 => 1 + self.dice.roll(12),
            _ => 1,
        };
        for _ in 0..at_once {
            let op = self.next_op;
            self.next_op += 1;
            let operation = Operation {
                cell: self.dice.roll(CELLS),
                extra: self.draw_extra(),
                keyed: self.dice.roll(2) == 0,
                tries: Vec::new(),
            };
            self.client
                .told
                .borrow_mut()
                .operations
                .insert(op, operation);
            self.client.ask(&self.node, &self.local, op);
            self.come_to_rest()?;
        }
        Ok(())
    }

    fn draw_extra(&mut self) -> Extra {
        match self.dice.roll(100) {
            0..5 => Extra::Reject,
            5..7 => Extra::Panic,
            7..17 => Extra::Twice,
            17..37 => Extra::Send(self.dice.roll(CELLS)),
            37..49 => Extra::Ring(1 + self.dice.roll(2_000)),
            49..61 => Extra::Receipt(u32::try_from(self.dice.roll(3)).unwrap_or(0)),
            61..66 => Extra::Once,
            66..69 => Extra::Stop,
            _ => Extra::Plain,
        }
    }

    /// Asks for an operation with a key again, answered or not.
    fn ask_again(&mut self) {
        let told = self.client.told.borrow();
        let keyed = told
            .operations
            .iter()
            .filter(|(_, operation)| operation.keyed);
        let keyed: Vec<u64> = keyed.map(|(op, _)| *op).collect();
        drop(told);
        if let Some(op) = self.draw(&keyed) {
            self.client.ask(&self.node, &self.local, op);
        }
    }

    fn draw(&mut self, among: &[u64]) -> Option<u64> {
        let sides = u64::try_from(among.len()).ok().filter(|sides| *sides > 0)?;
        let index = usize::try_from(self.dice.roll(sides)).ok()?;
        among.get(index).copied()
    }

    fn look(&mut self) {
        let cell = self.dice.roll(CELLS);
        self.sometimes.looked_while_held += u64::from(self.node.storage().is_holding());
        self.client.look(&self.node, &self.local, cell);
    }

    fn let_go(&mut self) -> Result<(), String> {
        self.sometimes.many_in_flight += u64::from(self.client.waiting() > 3);
        let commits = 1 + self.dice.roll(3);
        self.let_some_go(commits)
    }

    /// One after the other, so that what follows from one comes before the next.
    fn let_some_go(&mut self, commits: u64) -> Result<(), String> {
        for _ in 0..commits {
            if !self.node.storage().is_holding() {
                break;
            }
            self.node.let_go(1);
            self.come_to_rest()?;
        }
        Ok(())
    }

    fn let_all_go(&mut self) -> Result<(), String> {
        self.let_some_go(MANY)
    }

    fn pass_time(&mut self) {
        let by = Duration::from_millis(1 + self.dice.roll(1_500));
        let passed = self
            .node
            .block_on(self.local.run_until(self.node.advance(by)));
        self.take(&passed);
    }

    fn fail_in_a_write(&mut self) -> Result<(), String> {
        let (writes, fate) = (1 + self.dice.roll(4), self.draw_fate());
        self.node.crash_after(writes, fate);
        let commits = 1 + self.dice.roll(4);
        self.let_some_go(commits)
    }

    fn draw_fate(&mut self) -> CommitFault {
        match self.dice.roll(2) {
            0 => CommitFault::Lost,
            _ => CommitFault::Kept,
        }
    }

    fn cut_power(&mut self) {
        self.sometimes.power_cut += 1;
        self.open_again();
    }

    /// What was planned for the disk is over; the power may fail once more while the node starts.
    fn open_again(&mut self) {
        self.node.crash();
        self.plan(FaultPlan::new());
        if self.dice.roll(4) == 0 {
            let (writes, fate) = (1 + self.dice.roll(3), self.draw_fate());
            self.node.crash_after(writes, fate);
        }
        self.node.reopen();
        self.openings.push(self.node.clock().running());
    }

    fn fail_a_sync(&mut self) {
        let (write, fate) = (1 + self.dice.roll(3), self.draw_fate());
        self.plan(FaultPlan::new().sync_error(write, fate));
        self.sometimes.sync_failed += 1;
    }

    fn fill_the_disk(&mut self) {
        let (first, writes) = (1 + self.dice.roll(3), 1 + self.dice.roll(4));
        self.plan(FaultPlan::new().no_space(first, writes));
        self.sometimes.disk_was_full += 1;
    }

    fn fail_reads(&mut self) {
        let reads = 1 + self.dice.roll(3);
        self.plan(FaultPlan::new().read_errors(reads));
        self.sometimes.read_failed += 1;
    }

    fn passivate(&mut self) {
        let passed = self
            .node
            .block_on(self.local.run_until(self.node.passivate()));
        self.sometimes.passivated += 1;
        self.take(&passed);
    }

    /// The wall clock is set: by about an hour or about ten years, forth or back, never by the same twice.
    fn jump(&mut self) {
        let about = if self.dice.roll(2) == 0 {
            HOUR
        } else {
            10 * YEAR
        };
        let by = Duration::from_millis(about + self.dice.roll(HOUR));
        let clock = self.node.clock();
        if self.dice.roll(2) == 0 {
            clock.jump_wall_forward(by);
        } else {
            clock.jump_wall_back(by);
        }
        self.walls.note(clock);
        self.sometimes.clock_jumped += 1;
    }

    fn restart(&mut self) {
        // An orderly end waits for the disk.
        self.node.faults(&FaultPlan::new());
        self.sometimes.disk_was_slow += u64::from(matches!(self.disk, Disk::Slow(_)));
        let restarted = self.node.restart();
        self.openings.push(self.node.clock().running());
        self.sometimes.restarted += 1;
        self.take(&restarted);
        self.plan(FaultPlan::new());
    }

    /// Every commit waits to be let go, also where that is done at once.
    fn plan(&mut self, plan: FaultPlan) {
        let plan = match self.disk {
            _ if self.over => plan,
            Disk::Slow(by) => plan.slow(by),
            Disk::Held | Disk::Quick => plan.held(),
        };
        self.node.faults(&plan);
    }

    /// Opens the node again where the power failed meanwhile.
    fn take(&mut self, done: &Result<(), Crashed>) {
        if done.is_err() {
            self.sometimes.power_cut_in_a_write += 1;
            self.open_again();
        }
    }

    /// Lets everything go on that can.
    fn come_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..ATTEMPTS {
            let node = &self.node;
            let rested = node.block_on(self.local.run_until(async {
                turns().await;
                let rested = node.settle().await;
                turns().await;
                rested
            }));
            let calm = rested.is_ok();
            self.take(&rested);
            if calm {
                return Ok(());
            }
        }
        Err("the node does not come to rest after its crashes".to_owned())
    }

    /// Ends all faults, asks what is open again, and lets everything come back.
    fn finish(&mut self) -> Result<(), String> {
        self.over = true;
        self.open_again();
        self.come_to_rest()?;
        for _ in 0..ATTEMPTS {
            self.ask_the_open();
            self.come_to_rest()?;
            let passed = self
                .node
                .block_on(self.local.run_until(self.node.advance(ENOUGH)));
            self.take(&passed);
            self.come_to_rest()?;
        }
        if self.client.waiting() > 0 {
            return Err(format!("{} answers never came", self.client.waiting()));
        }
        self.node.check_laws();
        self.node.reopen();
        self.come_to_rest()?;
        self.node.check_laws();
        Ok(())
    }

    fn ask_the_open(&mut self) {
        let told = self.client.told.borrow();
        let operations = told.operations.iter();
        let open = operations.filter(|(_, operation)| operation.keyed && !operation.is_known());
        let open: Vec<u64> = open.map(|(op, _)| *op).collect();
        drop(told);
        for op in open {
            self.client.ask(&self.node, &self.local, op);
        }
    }
}

async fn turns() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}
