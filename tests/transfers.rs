//! Goal: money that actors send to each other is neither made nor lost, whatever is killed when.
//!
//! Method: 64 tasks start transfers among 100 accounts, which passivate all the time and reject much.
//! The program is killed with -9 at random moments. After each kill a fresh reader goes through the
//! events of all accounts; now and then, and at the end, everything under way is delivered first.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use steadfast::{ActorId, Inspector, Node, SequenceNumber, StatefulActor};
use steadfast_tests::bank::{
    ACCOUNTS, Bank, FIRST_CENTS, Show, Transfer, Transfers, account_key, bank_node,
};
use steadfast_tests::{Dice, History, Options};

use crate::harness::{PATIENCE, Place, Victim, proved, runtime, say, scaled, seed, tries};

/// Lives in which a point must be come by.
const LIVES: u64 = 5;

/// Where one transfer left its traces: places in the event logs of its two accounts.
#[derive(Debug, Default)]
struct Traces {
    sent: Vec<u64>,
    received: Vec<u64>,
    back: Vec<u64>,
}

/// What a check went through.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    transfers: usize,
    acknowledged: usize,
    received: usize,
    back: usize,
    under_way: usize,
}

#[test]
fn transfers_keep_the_sum_over_kills() {
    let seed = seed("transfers_keep_the_sum_over_kills");
    let (kills, deliver_every) = (tries(10, 200), scaled(5, 20));
    let place = Place::new();
    let mut dice = Dice::new(seed);
    let mut history = History::default();
    for life in 1..=kills {
        let again = open_transfers(&history);
        let mut victim = Victim::transfers(&place, life, seed, &again);
        if dice.roll(4) > 0 {
            victim.wait_for("ready");
        }
        std::thread::sleep(Duration::from_micros(dice.roll(300_000)));
        victim.kill();
        history.read_on(&place.record);
        if place.dir.join("journal").exists() && !history.operations.is_empty() {
            check(&place, &history, false);
        }
        if life % deliver_every == 0 {
            deliver_all(&place, &history, &[]);
        }
    }
    let figures = settle(&place, &mut history);
    say(&format!("transfers: {kills} kills, {figures:?}"));
    proved("transfer_kills", kills);
}

/// Whether the victim ended itself at a point, `armed` as `NAME:COUNT`, in one of a few lives. The sum stays.
#[track_caller]
pub(crate) fn ends_while_transferring(armed: &str, patience: Duration, seed: u64) -> bool {
    let place = Place::new();
    let mut history = History::default();
    let mut victim = Victim::transfers(&place, 1, seed, &[]);
    victim.wait_for("answers");
    victim.kill();
    let reached = (2..2 + LIVES).any(|life| {
        history.read_on(&place.record);
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command.env("STEADFAST_FAILPOINT", armed);
        let again = open_transfers(&history);
        let mut victim = Victim::transfers_with(command, &place, (life, seed), &again);
        victim.kills_itself_within(patience)
    });
    history.read_on(&place.record);
    check(&place, &history, false);
    settle(&place, &mut history);
    reached
}

/// Resolves what is open, has every message taken, and checks that the sum is there.
#[track_caller]
pub(crate) fn settle(place: &Place, history: &mut History) -> Figures {
    let open = open_transfers(history);
    deliver_all(place, history, &open);
    history.read_on(&place.record);
    check(place, history, true)
}

pub(crate) fn open_transfers(history: &History) -> Vec<u64> {
    let operations = history.operations.iter();
    operations
        .filter(|(_, told)| told.is_open())
        .map(|(op, _)| *op)
        .collect()
}

/// Starts a node, asks the transfers `again`, and waits until every message was taken: then the accounts
/// themselves must hold the sum.
fn deliver_all(place: &Place, history: &History, again: &[u64]) {
    runtime().block_on(async {
        let node = bank_node(&place.dir)
            .start()
            .await
            .expect("the node starts");
        let options = Options {
            life: 0,
            seed: 0,
            note: 0,
        };
        let transfers = Transfers::new(node.clone(), place.open_record(), options, drop);
        for op in again {
            transfers.settle(*op).await;
        }
        wait_delivered(&node).await;
        let mut sum = 0;
        for number in 0..ACCOUNTS {
            let account = node.actor::<Bank>(&account_key(number));
            sum += account.ask(Show).await.expect("a state").cents;
        }
        assert_eq!(sum, ACCOUNTS * FIRST_CENTS, "the sum of all accounts");
        node.shutdown().await.expect("an orderly end");
    });
    if again.is_empty() {
        check(place, history, true);
    }
}

async fn wait_delivered(node: &Node) {
    let mut commits = node.watch_commits();
    let delivered = async {
        loop {
            commits.borrow_and_update();
            // Everything that waits was counted once a first answer came after the start.
            if node.pending_messages() == Some(0) {
                return;
            }
            drop(tokio::time::timeout(Duration::from_millis(20), commits.changed()).await);
        }
    };
    tokio::time::timeout(PATIENCE, delivered)
        .await
        .expect("all messages are taken");
}

/// Goes through the events of all accounts.
#[track_caller]
pub(crate) fn check(place: &Place, history: &History, delivered: bool) -> Figures {
    let inspector = bank_node(&place.dir)
        .inspect()
        .expect("the directory can be read");
    let mut faults = history.wrong.clone();
    faults.extend(inspector.verify().expect("verify goes through").findings);
    let mut traces: HashMap<u64, Traces> = HashMap::new();
    let mut orders: HashMap<(u64, u64), Order> = HashMap::new();
    let mut held = 0;
    for number in 0..ACCOUNTS {
        held += read_account(&inspector, number, &mut traces, &mut orders, &mut faults);
    }
    let mut figures = Figures::default();
    let mut under_way = 0;
    for (op, traces) in &traces {
        let (received, back) = (traces.received.len(), traces.back.len());
        if traces.sent.len() != 1 || received + back > 1 {
            faults.push(format!("transfer {op}: {traces:?}"));
        }
        if received + back == 0 {
            under_way += Transfer::of(*op).cents;
            figures.under_way += 1;
        }
        figures.transfers += 1;
        figures.received += received;
        figures.back += back;
        if !history.operations.contains_key(op) {
            faults.push(format!("transfer {op} was never attempted"));
        }
    }
    if held + under_way != ACCOUNTS * FIRST_CENTS {
        faults.push(format!("{held} held and {under_way} under way"));
    }
    if delivered && under_way != 0 {
        faults.push(format!("{under_way} under way, and all messages are taken"));
    }
    for (pair, order) in &orders {
        order.check(*pair, &mut faults);
    }
    for op in &history.acknowledged {
        figures.acknowledged += 1;
        let seqs: Vec<u64> = history.operations[op]
            .acks
            .iter()
            .map(|ack| ack.seq)
            .collect();
        if traces
            .get(op)
            .is_none_or(|traces| seqs.iter().any(|seq| !traces.sent.contains(seq)))
        {
            faults.push(format!(
                "transfer {op} was acknowledged at {seqs:?}, and is not there"
            ));
        }
    }
    let shown: Vec<String> = faults.iter().take(20).cloned().collect();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        shown.join("\n")
    );
    figures
}

/// What one account sent to another, and what of it came, each in its order.
#[derive(Debug, Default)]
struct Order {
    sent: Vec<u64>,
    received: Vec<u64>,
}

impl Order {
    /// What came must come in the order in which it was sent; some came back instead.
    fn check(&self, pair: (u64, u64), faults: &mut Vec<String>) {
        let mut sent = self.sent.iter();
        if !self.received.iter().all(|op| sent.any(|other| other == op)) {
            faults.push(format!("{pair:?} out of order: {self:?}"));
        }
    }
}

/// Reads one account's events; returns what it holds by them.
fn read_account(
    inspector: &Inspector,
    number: u64,
    traces: &mut HashMap<u64, Traces>,
    orders: &mut HashMap<(u64, u64), Order>,
    faults: &mut Vec<String>,
) -> u64 {
    let id = ActorId::new(Bank::KIND, &account_key(number)).expect("a name");
    let mut cents = FIRST_CENTS;
    let mut from = Some(SequenceNumber::FIRST);
    while let Some(first) = from {
        let page = match inspector.events(&id, first, 4_096) {
            Ok(page) => page,
            Err(steadfast::NodeError::NoActor { .. }) => return cents,
            Err(error) => panic!("{error}"),
        };
        from = page
            .last()
            .and_then(|last| SequenceNumber::new(last.seq + 1));
        for view in &page {
            let field = |name: &str| view.data.get(name).and_then(serde_json::Value::as_u64);
            let (op, amount) = (field("op").expect("op"), field("cents").expect("cents"));
            let plan = Transfer::of(op);
            let order = orders.entry((plan.from, plan.to)).or_default();
            let traces = traces.entry(op).or_default();
            let (place, at) = match view.name.as_str() {
                "bank.sent" => {
                    cents -= amount;
                    order.sent.push(op);
                    (&mut traces.sent, plan.from)
                }
                "bank.received" => {
                    cents += amount;
                    order.received.push(op);
                    (&mut traces.received, plan.to)
                }
                _ => {
                    cents += amount;
                    (&mut traces.back, plan.from)
                }
            };
            place.push(view.seq);
            if at != number || amount != plan.cents {
                faults.push(format!("transfer {op} at account {number}: {view:?}"));
            }
        }
    }
    let state = inspector.state(&id, None).expect("its state").state;
    if state.get("cents").and_then(serde_json::Value::as_u64) != Some(cents) {
        faults.push(format!(
            "account {number}: its events come to {cents}, its state is {state}"
        ));
    }
    cents
}
