//! How a seed comes to its end: nothing goes wrong any more, everything comes back, and the oracle judges.

use std::time::Duration;

use steadfast::Clock;
use steadfast::testkit::{FakeRun, FaultPlan};
use tokio::task::yield_now;

use super::Played;
use super::cell::{CELLS, Cell, key_of};
use super::client::Manner;
use super::player::Player;
use super::{moments, oracle};

/// Time that lets everything come back at the end, drawn in several goes.
const ENOUGH: Duration = Duration::from_secs(3_600);
/// Time in which a journal is opened again and a held mailbox goes on.
const A_WHILE: Duration = Duration::from_secs(60);
/// Turns of the client's tasks that bring a question to its worker, or an answer back.
const YIELDS: usize = 4;
/// Attempts to have an operation's outcome at the end.
const ATTEMPTS: usize = 8;

impl Player {
    pub(super) fn play(mut self) -> Result<Played, String> {
        self.steps()?;
        let owed = self.finish()?;
        self.note_what_was_met();
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
        let faults = [judged.faults, owed].concat();
        if faults.is_empty() {
            Ok(Played {
                sometimes,
                turns: self.node.turns(),
                trace: self.node.trace(),
                answers: told.trace,
            })
        } else {
            Err(faults.join("\n"))
        }
    }

    /// What was planned and did not happen does not count.
    fn note_what_was_met(&mut self) {
        let (met, recoveries) = (self.node.storage().met(), self.node.recoveries());
        let sometimes = &mut self.sometimes;
        sometimes.sync_failed += met.failed_writes;
        sometimes.disk_was_full += met.full;
        sometimes.read_failed += met.failed_reads;
        sometimes.scan_broke += met.broken_scans;
        sometimes.table_read_failed += met.beside_entries;
        sometimes.many_in_flight += met.queued;
        sometimes.committed_together += met.grouped;
        sometimes.snapshot_with_tail += recoveries.with_tail;
        sometimes.snapshot_passed_over += recoveries.snapshots_passed_over;
        sometimes.looked_while_held += self.client.told.borrow().looked_while_held;
        let runs = [self.long.runs(), self.once.runs()].concat();
        let count = |is: fn(&FakeRun) -> bool| runs.iter().filter(|run| is(run)).count() as u64;
        sometimes.attempt_was_cut_off += count(|run| !run.ended && !run.reconciling);
        sometimes.reconciled += count(|run| run.ended && run.reconciling);
    }

    /// Ends all faults, asks what is open again, and lets everything come back. What has not come is told.
    fn finish(&mut self) -> Result<Vec<String>, String> {
        self.over = true;
        if self.dice.roll(2) == 0 {
            self.open_again();
        } else {
            self.plan(FaultPlan::new());
        }
        self.come_to_rest()?;
        self.mend()?;
        self.compare_live()?;
        self.pass(A_WHILE)?;
        self.compare_all()?;
        self.let_the_wall_catch_up();
        for _ in 0..ATTEMPTS {
            self.ask_the_open();
            self.come_to_rest()?;
            self.pass(ENOUGH)?;
        }
        if self.client.waiting() > 0 {
            return Err(format!("{} answers never came", self.client.waiting()));
        }
        self.compare_all()?;
        let owed = self.owed();
        self.node.reopen();
        self.compare_all()?;
        Ok(owed)
    }

    /// What is pending still, which after hours without a fault is nothing. To be asked before the node is opened once
    /// more, which would start again what was forgotten.
    fn owed(&self) -> Vec<String> {
        let mut owed = Vec::new();
        for cell in 0..CELLS {
            let Cell {
                pending, ringing, ..
            } = self.node.state(&key_of(cell));
            if !pending.is_empty() || !ringing.is_empty() {
                owed.push(format!(
                    "cell {cell} still waits for the effects of {pending:?} and the timers of {ringing:?}"
                ));
            }
        }
        let messages = self.node.node().pending_messages();
        if let Some(messages) = messages.filter(|messages| *messages > 0) {
            owed.push(format!("{messages} messages still wait"));
        }
        owed
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let passed = self
            .node
            .block_on(self.local.run_until(self.node.advance(time)));
        self.take(&passed);
        self.come_to_rest()
    }

    /// A timer by the wall clock waits for as long as that was set back.
    fn let_the_wall_catch_up(&mut self) {
        let clock = self.node.clock();
        let latest = self.walls.latest(clock.now());
        if latest > clock.now() {
            clock.set_wall(latest);
            self.walls.note(clock);
        }
    }

    /// Compares with their replays what is in memory after all that went wrong. That may be nothing, where the journal
    /// failed just now.
    fn compare_live(&mut self) -> Result<(), String> {
        self.come_to_rest()?;
        if self.node.node().inspect().is_ok() {
            self.sometimes.compared_live += self.node.check_laws() as u64;
        }
        Ok(())
    }

    /// Brings all cells into memory, and compares them with their replays.
    fn compare_all(&mut self) -> Result<(), String> {
        for cell in 0..CELLS {
            self.client.look(&self.node, &self.local, cell);
        }
        self.come_to_rest()?;
        let compared = self.node.check_laws();
        let there = (0..CELLS).filter(|cell| !self.node.events::<Cell>(&key_of(*cell)).is_empty());
        let there = there.count();
        if compared < there {
            return Err(format!(
                "{compared} cells were compared with their replays, of {there}"
            ));
        }
        Ok(())
    }

    fn ask_the_open(&mut self) {
        let told = self.client.told.borrow();
        let operations = told.operations.iter();
        let open = operations.filter(|(_, operation)| operation.keyed && !operation.is_known());
        let open: Vec<u64> = open.map(|(op, _)| *op).collect();
        drop(told);
        for op in open {
            let manner = Manner::default();
            self.client.ask(&self.node, &self.local, op, manner);
        }
    }

    /// Mends the mistake in the program, and lets the cells go that were set aside, for this or another reason.
    pub(super) fn mend(&mut self) -> Result<(), String> {
        moments::break_brittle(false);
        let quarantine = self.node.node().quarantine();
        let released = self.node.block_on(self.local.run_until(async {
            let mut released = 0;
            for aside in quarantine.list().await? {
                quarantine.release(&aside.actor).await?;
                released += 1;
            }
            Ok::<u64, steadfast::NodeError>(released)
        }));
        self.sometimes.released += released.map_err(|error| format!("releasing: {error}"))?;
        Ok(())
    }

    /// Lets everything go on that can.
    pub(super) fn come_to_rest(&mut self) -> Result<(), String> {
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
}

async fn turns() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}
