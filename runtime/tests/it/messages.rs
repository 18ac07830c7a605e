//! Messages between actors: exactly once, in order for each pair, never before their sender's commit is
//! durable, and back to the sender when they are rejected.

use std::time::Duration;

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{ActorHealth, ActorRef, AskError, Node, NodeBuilder};

use crate::bank::{
    Account, Balance, Deposit, Give, Open, Statement, bank, break_account, delivered, give,
    mend_account, open, set_aside, with_accounts,
};
use crate::world::{eventually, pause, send};

async fn balance(account: &ActorRef<Account>) -> Statement {
    account.ask(Balance).await.unwrap()
}

/// What `to` received from `from`, in order.
fn received_from(statement: &Statement, from: &str) -> Vec<u64> {
    let numbers = statement.received.iter();
    numbers
        .filter(|(sender, _)| sender == from)
        .map(|(_, number)| *number)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_arrives_once_and_in_the_order_of_its_pair() {
    let storage = MemoryStorage::new();
    let node = bank(&storage, 3).await;
    let receivers = ["r1", "r2", "r3", "s1"];
    for key in receivers {
        open(&node, key, 0, u64::MAX).await;
    }
    let senders = ["s1", "s2", "s3", "s4", "s5"];
    for key in senders {
        open(&node, key, 10_000, u64::MAX).await;
    }
    let sending = senders.map(|key| {
        let from = node.actor::<Account>(key);
        async move {
            for round in 0..150 {
                give(&from, &["r1", "r2", "r3", "s1", "r1"], round * 5).await;
            }
        }
    });
    futures_util::future::join_all(sending).await;
    delivered(&node).await;
    let sum = async || {
        let mut sum = 0;
        for key in ["r1", "r2", "r3", "s1", "s2", "s3", "s4", "s5"] {
            sum += balance(&node.actor(key)).await.cents;
        }
        sum
    };
    assert_eq!(sum().await, 50_000);
    for (place, key) in (0..).zip(receivers) {
        let statement = balance(&node.actor(key)).await;
        for from in senders {
            let one: Vec<u64> = (0..150).map(|round| round * 5 + place).collect();
            let two: Vec<u64> = (0..150)
                .flat_map(|round| [round * 5, round * 5 + 4])
                .collect();
            let expected = if key == "r1" { two } else { one };
            assert_eq!(received_from(&statement, from), expected, "{from} to {key}");
        }
    }
}

#[tokio::test]
async fn a_rejected_one_comes_back_once() {
    let storage = MemoryStorage::new();
    let node = bank(&storage, 2).await;
    let rich = open(&node, "rich", 5, 100).await;
    let full = open(&node, "small", 0, 2).await;
    for number in 0..5 {
        give(&rich, &["small"], number).await;
    }
    delivered(&node).await;
    let back: Vec<String> = (2..5)
        .map(|number| format!("{number} from account/small: small is full"))
        .collect();
    let check = async |node: &Node| {
        let rich = balance(&node.actor("rich")).await;
        assert_eq!((rich.cents, &rich.taken_back), (3, &back));
        let small = balance(&node.actor("small")).await;
        assert_eq!(received_from(&small, "rich"), [0, 1]);
    };
    check(&node).await;
    drop((rich, full));
    node.shutdown().await.unwrap();
    check(&bank(&storage, 1).await).await;
}

#[tokio::test]
async fn none_leaves_before_its_senders_commit_is_durable() {
    for fault in [None, Some(CommitFault::Lost), Some(CommitFault::Kept)] {
        let storage = MemoryStorage::new();
        let node = bank(&storage, 2).await;
        let from = open(&node, "from", 10, 100).await;
        let to = open(&node, "to", 0, 100).await;
        let paused = pause(&storage);
        if let Some(fault) = fault {
            storage.fail_next_commit(fault);
        }
        let given = Give {
            to: vec!["to".to_owned()],
            number: 0,
        };
        let giving = send(from.ask(given)).await;
        // Two rounds through the receiver's worker: had the message been let out, it would be there.
        for _ in 0..2 {
            assert_eq!(
                to.ask(Balance).dirty_ok().await.unwrap().cents,
                0,
                "{fault:?}"
            );
            node.health().await;
        }
        paused.resume();
        let answer = giving.await;
        assert_eq!(answer.is_ok(), fault.is_none());
        delivered(&node).await;
        let arrived = u64::from(fault != Some(CommitFault::Lost));
        assert_eq!(balance(&to).await.cents, arrived, "{fault:?}");
        assert_eq!(balance(&from).await.cents, 10 - arrived, "{fault:?}");
    }
}

#[tokio::test]
async fn those_under_way_at_a_crash_arrive_once_after_it() {
    let storage = MemoryStorage::new();
    let receivers = ["to-1", "to-2", "to-3"];
    break_account("to-1");
    let node = bank(&storage, 2).await;
    let from = open(&node, "from", 1_000, 1_000).await;
    for key in receivers {
        open(&node, key, 0, 1_000).await;
    }
    for number in 0..200 {
        give(&from, &receivers, number * 3).await;
    }
    storage.crash();
    drop((from, node));
    mend_account("to-1");
    let node = bank(&storage, 3).await;
    delivered(&node).await;
    for (place, key) in (0..).zip(receivers) {
        let statement = balance(&node.actor(key)).await;
        let expected: Vec<u64> = (0..200).map(|number| number * 3 + place).collect();
        assert_eq!(received_from(&statement, "from"), expected, "{key}");
    }
}

/// A receiver that is set aside keeps what is for it, and nobody else waits for that.
#[tokio::test]
async fn a_quarantined_receiver_holds_its_own_only() {
    let storage = MemoryStorage::new();
    break_account("held");
    let node = bank(&storage, 2).await;
    let from = open(&node, "from", 1_000, 1_000).await;
    open(&node, "held", 0, 1_000).await;
    let free = open(&node, "free", 0, 1_000).await;
    for number in 0..100 {
        give(&from, &["held", "free"], number * 2).await;
    }
    eventually("the other one has all", async || {
        balance(&free).await.cents == 100
    })
    .await;
    eventually("the broken one is set aside", async || {
        let health = node.health().await;
        health.iter().any(|(id, health)| {
            id.key() == "held" && matches!(health, ActorHealth::Quarantined { .. })
        })
    })
    .await;
    give(&from, &["held", "free"], 200).await;
    eventually("the other one goes on", async || {
        balance(&free).await.cents == 101
    })
    .await;
    node.shutdown().await.unwrap();
    mend_account("held");
    let node = bank(&storage, 2).await;
    delivered(&node).await;
    let held = balance(&node.actor("held")).await;
    let expected: Vec<u64> = (0..101).map(|number| number * 2).collect();
    assert_eq!(received_from(&held, "from"), expected);
}

/// Released while the program runs, an actor gets what waited, once and in order.
#[tokio::test]
async fn a_released_receiver_gets_what_waited() {
    let node = bank(&MemoryStorage::new(), 2).await;
    break_account("freed");
    let from = open(&node, "from", 1_000, 1_000).await;
    open(&node, "freed", 0, 1_000).await;
    give(&from, &["freed"], 0).await;
    let id = set_aside(&node, "freed").await;
    for number in 1..150 {
        give(&from, &["freed"], number).await;
    }
    mend_account("freed");
    node.quarantine().release(&id).await.unwrap();
    delivered(&node).await;
    let freed = balance(&node.actor("freed")).await;
    assert_eq!(received_from(&freed, "from"), (0..150).collect::<Vec<_>>());
}

/// A message that is skipped by hand is gone for good; those behind it go on.
#[tokio::test]
async fn a_skipped_message_is_not_handled_and_the_rest_is() {
    let storage = MemoryStorage::new();
    let node = bank(&storage, 2).await;
    break_account("skips");
    let from = open(&node, "from", 1_000, 1_000).await;
    open(&node, "skips", 0, 1_000).await;
    for number in 0..100 {
        give(&from, &["skips"], number).await;
    }
    let id = set_aside(&node, "skips").await;
    mend_account("skips");
    node.quarantine().skip(&id).await.unwrap();
    delivered(&node).await;
    let expected: Vec<u64> = (1..100).collect();
    let skips = balance(&node.actor("skips")).await;
    assert_eq!(received_from(&skips, "from"), expected);
    node.shutdown().await.unwrap();
    let node = bank(&storage, 2).await;
    delivered(&node).await;
    let skips = balance(&node.actor("skips")).await;
    assert_eq!(received_from(&skips, "from"), expected);
}

#[tokio::test]
async fn a_sender_with_too_many_waiting_is_overloaded_before_it_is_handled() {
    let storage = MemoryStorage::new();
    let start = async || {
        with_accounts(NodeBuilder::from(storage.clone()))
            .config(|config| config.outbox_capacity = 10)
            .start()
            .await
            .unwrap()
    };
    break_account("stuck");
    let node = start().await;
    let from = open(&node, "busy", 1_000, 1_000).await;
    open(&node, "stuck", 0, 1_000).await;
    let other = open(&node, "other", 10, 1_000).await;
    for number in 0..10 {
        give(&from, &["stuck"], number).await;
    }
    let again = Give {
        to: vec!["stuck".to_owned()],
        number: 10,
    };
    let refused = from.ask(again).await;
    assert!(
        matches!(refused, Err(AskError::Overloaded { .. })),
        "{refused:?}"
    );
    // Whoever has nothing waiting is not concerned.
    give(&other, &["stuck"], 0).await;
    let entries = |node: &Node| {
        let actors = node.inspect().unwrap().actors(Some("account")).unwrap();
        actors
            .into_iter()
            .map(|actor| (actor.actor.key().to_owned(), actor.seq))
            .collect::<Vec<_>>()
    };
    assert!(entries(&node).contains(&("busy".to_owned(), 11)));
    // The bound is found again after a restart, and is gone with the backlog.
    node.shutdown().await.unwrap();
    let node = start().await;
    let from = node.actor::<Account>("busy");
    eventually("the backlog is counted", async || {
        node.metrics().contains("steadfast_outbox 11\n")
    })
    .await;
    let refused = from.ask(Balance).await;
    assert!(
        matches!(refused, Err(AskError::Overloaded { .. })),
        "{refused:?}"
    );
    node.shutdown().await.unwrap();
    mend_account("stuck");
    let node = start().await;
    delivered(&node).await;
    give(&node.actor("busy"), &["stuck"], 10).await;
    delivered(&node).await;
    let stuck = balance(&node.actor("stuck")).await;
    assert_eq!(received_from(&stuck, "busy"), (0..11).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_registered_is_named_and_writes_nothing() {
    let builders = [
        (
            with_one_line_missing(|kind| kind.command::<Give>().sends::<Deposit>()),
            "add .command::<..>()",
        ),
        (
            with_one_line_missing(|kind| kind.command::<Give>().command::<Deposit>()),
            "add .sends::<..>()",
        ),
    ];
    for (builder, line) in builders {
        let node = builder.start().await.unwrap();
        let from = open(&node, "from", 10, 10).await;
        let given = Give {
            to: vec!["to".to_owned()],
            number: 0,
        };
        let refused = from.ask(given).await;
        let Err(AskError::Failed { reason }) = refused else {
            panic!("{refused:?}");
        };
        assert!(reason.contains(line), "{reason}");
        assert_eq!(balance(&from).await.cents, 10);
    }
}

fn with_one_line_missing(
    lines: impl FnOnce(steadfast::KindBuilder<Account>) -> steadfast::KindBuilder<Account>,
) -> NodeBuilder {
    NodeBuilder::from(MemoryStorage::new())
        .register::<Account>(|kind| lines(kind.command::<Open>()))
}

/// A program that no longer knows a message keeps it, sets its receiver aside and says what is missing.
#[tokio::test]
async fn a_receiver_of_an_unregistered_message_is_set_aside() {
    let storage = MemoryStorage::new();
    break_account("later");
    let node = bank(&storage, 1).await;
    let from = open(&node, "from", 10, 10).await;
    open(&node, "later", 0, 10).await;
    give(&from, &["later"], 7).await;
    drop(from);
    node.shutdown().await.unwrap();
    let node = NodeBuilder::from(storage.clone())
        .register::<Account>(|kind| kind.command::<Give>().sends::<Deposit>())
        .start()
        .await
        .unwrap();
    eventually("the receiver is set aside", async || {
        node.health().await.iter().any(|(id, health)| {
            id.key() == "later"
                && matches!(health, ActorHealth::Quarantined { reason, .. }
                    if reason.contains("add .command::<..>()"))
        })
    })
    .await;
    node.shutdown().await.unwrap();
    mend_account("later");
    let node = bank(&storage, 1).await;
    delivered(&node).await;
    let later = balance(&node.actor("later")).await;
    assert_eq!(received_from(&later, "from"), [7]);
}

/// Gives until it is known to be done or refused.
async fn give_surely(from: &ActorRef<Account>, to: &[String], key: &str) {
    loop {
        let to = to.to_vec();
        match from.ask(Give { to, number: 0 }).key(key).await {
            Ok(()) | Err(AskError::Rejected(_)) => return,
            Err(AskError::OutcomeUnknown) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Money moves between accounts while the journal fails again and again: none is made, none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_is_constant_through_many_failures() {
    let storage = MemoryStorage::new();
    let node = bank(&storage, 3).await;
    let keys: Vec<String> = (0..10).map(|number| format!("a{number}")).collect();
    for key in &keys {
        // Half of them take little, so that much comes back.
        let limit = if key.ends_with(['0', '2', '4', '6', '8']) {
            120
        } else {
            10_000
        };
        open(&node, key, 100, limit).await;
    }
    let faults = async {
        for round in 0..20 {
            let fault = [CommitFault::Lost, CommitFault::Kept][round % 2];
            let before = *node.watch_commits().borrow();
            let mut commits = node.watch_commits();
            storage.fail_next_commit(fault);
            commits
                .wait_for(|newest| *newest > before + 5)
                .await
                .unwrap();
        }
    };
    let transfers = keys.iter().enumerate().map(|(place, key)| {
        let (from, keys, node) = (node.actor::<Account>(key), &keys, &node);
        async move {
            for round in 0..200_usize {
                let to = [1, 3, 7].map(|step| keys[(place + round * step + step) % 10].clone());
                give_surely(&from, &to, &format!("{key}-{round}")).await;
                if round % 20 == 0 {
                    node.health().await;
                }
            }
        }
    });
    let over = tokio::sync::Notify::new();
    let work = async {
        futures_util::future::join_all(transfers).await;
        over.notify_one();
    };
    let faults = async {
        tokio::select! {
            () = faults => {}
            () = over.notified() => {}
        }
    };
    futures_util::future::join(work, faults).await;
    delivered(&node).await;
    let check = async |node: &Node| {
        let mut sum = 0;
        for key in &keys {
            sum += balance(&node.actor(key)).await.cents;
        }
        assert_eq!(sum, 1_000);
    };
    check(&node).await;
    tokio::time::timeout(Duration::from_secs(30), node.shutdown())
        .await
        .unwrap()
        .unwrap();
    let node = bank(&storage, 2).await;
    delivered(&node).await;
    check(&node).await;
}
