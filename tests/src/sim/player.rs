//! Draws the steps of a seed and does them. What ends it is in `ending`.

use std::num::NonZeroUsize;
use std::time::Duration;

use steadfast::Clock;
use steadfast::testkit::{CommitFault, Crashed, FakeEffect, FaultPlan, RowsOf, SimNode, Table};
use tokio::task::LocalSet;

use super::cell::{CELLS, Extra, Long, Once, World, kind};
use super::client::{Client, Manner, Operation};
use super::moments;
use super::sometimes::Sometimes;
use super::walls::Walls;
use crate::dice::Dice;

/// Steps of one seed.
pub const STEPS: u64 = 60;
/// One of so many seeds has a program that makes a mistake at times.
const BREAK_ONE_IN: u64 = 3;
/// More commits than one step brings about.
const MANY: u64 = 100;
/// In milliseconds.
const HOUR: u64 = 3_600_000;
/// The same.
const YEAR: u64 = 365 * 24 * HOUR;
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
    pub(super) dice: Dice,
    pub(super) node: SimNode,
    pub(super) world: World,
    pub(super) local: LocalSet,
    pub(super) client: Client,
    disk: Disk,
    /// Effects that take their time.
    pub(super) long: FakeEffect<Long>,
    pub(super) once: FakeEffect<Once>,
    /// Whether the program ever has the mistake by which brittle events cannot be applied.
    breaks: bool,
    /// Whether the steps are over: from then on nothing waits.
    pub(super) over: bool,
    /// When the node was opened again, on the running clock.
    pub(super) openings: Vec<Duration>,
    pub(super) walls: Walls,
    next_op: u64,
    pub(super) sometimes: Sometimes,
}

/// How the node of a seed is set up.
#[derive(Debug, Clone, Copy)]
struct Setup {
    workers: NonZeroUsize,
    effects: usize,
    snapshot_every: u64,
    mailbox_capacity: usize,
    outbox_capacity: u64,
}

impl Setup {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            workers: NonZeroUsize::MIN.saturating_add(draw_size(dice, 3)),
            // Few enough at times that they wait for each other.
            effects: 1 + draw_size(dice, 4),
            snapshot_every: 1 + dice.roll(8),
            mailbox_capacity: 2 + draw_size(dice, 15),
            outbox_capacity: match dice.roll(4) {
                0 => 1 + dice.roll(4),
                _ => 10_000,
            },
        }
    }

    fn node(self, seed: u64, world: World) -> SimNode {
        SimNode::new(seed, move |node| {
            node.register(kind)
                .resource(world.clone())
                .config(|config| {
                    config.workers = self.workers;
                    config.effects = self.effects;
                    config.snapshot_every = self.snapshot_every;
                    config.mailbox_capacity = self.mailbox_capacity;
                    config.outbox_capacity = self.outbox_capacity;
                    config.passivate_after = Duration::from_secs(1);
                    // Milliseconds are turns, and what waits for time to pass does so in vain.
                    config.drain_timeout = Duration::from_millis(400);
                })
        })
    }
}

fn draw_size(dice: &mut Dice, sides: u64) -> usize {
    usize::try_from(dice.roll(sides)).unwrap_or(0)
}

impl Player {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::default();
        let setup = Setup::draw(&mut dice);
        let disk = match dice.roll(8) {
            0..5 => Disk::Held,
            5 => Disk::Slow(Duration::from_millis(1 + dice.roll(400))),
            _ => Disk::Quick,
        };
        let node = setup.node(seed, world.clone());
        moments::begin(node.clock());
        let takes = Duration::from_millis(1 + dice.roll(800));
        let hurries = Duration::from_millis(dice.roll(2) * dice.roll(100));
        let long = node.fake(|| FakeEffect::new().takes(takes));
        let once = node.fake(|| FakeEffect::new().takes(hurries));
        let walls = Walls::of(node.clock());
        let mut player = Self {
            breaks: dice.roll(BREAK_ONE_IN) == 0,
            dice,
            node,
            world,
            local: LocalSet::new(),
            client: Client::default(),
            disk,
            long,
            once,
            over: false,
            openings: Vec::new(),
            walls,
            next_op: 1,
            sometimes: Sometimes::default(),
        };
        if player.dice.roll(2) == 0 {
            player.node.storage().commit_alone();
        }
        player.node.reopen();
        player.plan(FaultPlan::new());
        player
    }

    pub(super) fn steps(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step()?;
            self.come_to_rest()?;
            if matches!(self.disk, Disk::Quick) {
                self.let_all_go()?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        match self.dice.roll(104) {
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
            98..100 => self.restart(),
            100..102 if self.breaks => self.break_the_program(),
            _ => self.mend()?,
        }
        Ok(())
    }

    /// Each is brought to its mailbox before the next one is asked, or all come at once.
    fn ask_some(&mut self) -> Result<(), String> {
        let at_once = match self.dice.roll(4) {
            0 => 1 + self.dice.roll(12),
            _ => 1,
        };
        let in_turn = self.dice.roll(2) == 0;
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
            let manner = self.draw_manner();
            self.client.ask(&self.node, &self.local, op, manner);
            if in_turn {
                self.come_to_rest()?;
            }
        }
        Ok(())
    }

    fn draw_manner(&mut self) -> Manner {
        let deadline = 1 + self.dice.roll(1_000);
        Manner {
            deadline: (self.dice.roll(8) == 0).then(|| Duration::from_millis(deadline)),
            hasty: self.dice.roll(4) == 0,
        }
    }

    fn draw_extra(&mut self) -> Extra {
        match self.dice.roll(1_000) {
            0..50 => Extra::Reject,
            50..70 => Extra::Panic,
            70..160 => Extra::Twice,
            160..340 => Extra::Send(self.dice.roll(CELLS)),
            340..440 => Extra::Ring(1 + self.dice.roll(2_000)),
            440..480 => Extra::RingAt(1 + self.dice.roll(2_000)),
            480..520 => Extra::Cancel,
            520..550 => Extra::Replace(1 + self.dice.roll(2_000)),
            550..650 => Extra::Receipt(u32::try_from(self.dice.roll(3)).unwrap_or(0)),
            650..700 => Extra::Once,
            700..760 => Extra::Long,
            760..790 => Extra::Stop,
            790..850 => Extra::Brittle,
            850..851 => Extra::Flood(self.dice.roll(CELLS)),
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
            let manner = self.draw_manner();
            self.client.ask(&self.node, &self.local, op, manner);
        }
    }

    fn draw(&mut self, among: &[u64]) -> Option<u64> {
        let sides = u64::try_from(among.len()).ok().filter(|sides| *sides > 0)?;
        let index = usize::try_from(self.dice.roll(sides)).ok()?;
        among.get(index).copied()
    }

    fn look(&mut self) {
        let cell = self.dice.roll(CELLS);
        self.client.look(&self.node, &self.local, cell);
    }

    fn let_go(&mut self) -> Result<(), String> {
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
    pub(super) fn open_again(&mut self) {
        self.node.crash();
        self.spoil_snapshots();
        self.plan(FaultPlan::new());
        if self.dice.roll(4) == 0 {
            let (writes, fate) = (1 + self.dice.roll(3), self.draw_fate());
            self.node.crash_after(writes, fate);
        }
        let cuts = self.node.storage().met().power_cuts;
        self.node.reopen();
        self.sometimes.power_cut_while_opening += self.node.storage().met().power_cuts - cuts;
        self.openings.push(self.node.clock().running());
    }

    /// Some were not on the disk yet, and what is there may be damaged.
    fn spoil_snapshots(&mut self) {
        if self.dice.roll(2) == 0 {
            let lost = draw_size(&mut self.dice, 8);
            let lost = self.node.lose_snapshots(lost);
            self.sometimes.snapshot_lost += u64::from(lost > 0);
        }
        if self.dice.roll(4) == 0 {
            let draw = self.dice.roll(u64::MAX);
            self.sometimes.snapshot_damaged += u64::from(self.node.damage_a_snapshot(draw));
        }
    }

    fn fail_a_sync(&mut self) {
        let (write, fate) = (1 + self.dice.roll(3), self.draw_fate());
        self.plan(FaultPlan::new().sync_error(write, fate));
    }

    fn fill_the_disk(&mut self) {
        let (first, writes) = (1 + self.dice.roll(3), 1 + self.dice.roll(4));
        let fate = self.draw_fate();
        self.plan(FaultPlan::new().no_space(first, writes).no_space_fate(fate));
    }

    fn fail_reads(&mut self) {
        let reads = 1 + self.dice.roll(3);
        let behind = self.dice.roll(4);
        let rows = match self.dice.roll(8) {
            0 => RowsOf::Commits,
            1 => RowsOf::Table(Table::Timers),
            2 => RowsOf::Table(Table::Effects),
            3 => RowsOf::Table(Table::Outbox),
            _ => RowsOf::Entries,
        };
        let mut plan = FaultPlan::new().read_errors_behind(reads, behind, rows);
        if self.dice.roll(2) == 0 {
            // Commits and tables are read most where the journal is opened again.
            plan = plan.sync_error(1 + self.dice.roll(3), self.draw_fate());
        }
        self.plan(plan);
    }

    fn passivate(&mut self) {
        let before = self.resident();
        let passed = self
            .node
            .block_on(self.local.run_until(self.node.passivate()));
        self.sometimes.passivated += u64::from(passed.is_ok() && self.resident() < before);
        self.take(&passed);
    }

    /// How many actors are in memory.
    fn resident(&self) -> usize {
        let totals = async { self.node.node().totals().await };
        self.node.block_on(self.local.run_until(totals)).resident
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

    /// Cells are set aside when they are recovered next, which may be now.
    fn break_the_program(&mut self) {
        moments::break_brittle(true);
        match self.dice.roll(3) {
            0 => self.passivate(),
            1 => self.cut_power(),
            _ => {}
        }
    }

    fn restart(&mut self) {
        // Whoever holds commits back does so no longer; a slow disk stays slow.
        match self.disk {
            Disk::Slow(_) => self.plan(FaultPlan::new()),
            Disk::Held | Disk::Quick => self.node.faults(&FaultPlan::new()),
        }
        let restarted = self.node.restart();
        self.openings.push(self.node.clock().running());
        self.sometimes.restarted += u64::from(restarted.is_ok());
        let slow = restarted.is_ok() && matches!(self.disk, Disk::Slow(_));
        self.sometimes.disk_was_slow += u64::from(slow);
        self.take(&restarted);
        self.plan(FaultPlan::new());
    }

    /// Every commit waits to be let go, also where that is done at once.
    pub(super) fn plan(&mut self, plan: FaultPlan) {
        let plan = match self.disk {
            _ if self.over => plan,
            Disk::Slow(by) => plan.slow(by),
            Disk::Held | Disk::Quick => plan.held(),
        };
        self.node.faults(&plan);
    }

    /// Opens the node again where the power failed meanwhile.
    pub(super) fn take(&mut self, done: &Result<(), Crashed>) {
        if done.is_err() {
            self.sometimes.power_cut_in_a_write += 1;
            self.open_again();
        }
    }
}
