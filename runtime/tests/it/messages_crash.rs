//! Transfers that a crash may cut anywhere: the sum, the order and the number of deliveries hold.

use std::num::NonZeroUsize;

use steadfast::testkit::{CrashPlan, Crashed, TestNode};
use steadfast::{AskError, NodeBuilder};

use crate::bank::{Account, Balance, Give, Open, with_accounts};

const KEYS: [&str; 4] = ["a", "b", "c", "small"];

fn with_two_workers(builder: NodeBuilder) -> NodeBuilder {
    with_accounts(builder).config(|config| {
        config.workers = NonZeroUsize::MIN.saturating_add(1);
        config.snapshot_every = 2;
    })
}

/// Opens four accounts, of which one takes next to nothing, and sends money round.
async fn transfers(node: &TestNode) -> Result<(), Crashed> {
    for key in KEYS {
        let limit = if key == "small" { 101 } else { 1_000 };
        let opening = Open { cents: 100, limit };
        node.actor::<Account>(key).ask(opening).key("open").await?;
    }
    for (number, round) in [["b", "small"], ["c", "b"], ["small", "small"]]
        .iter()
        .enumerate()
    {
        for from in ["a", "b", "small"] {
            let given = Give {
                to: round.map(str::to_owned).to_vec(),
                number: number as u64 * 2,
            };
            let key = format!("give {number}");
            match node.actor::<Account>(from).ask(given).key(key).await {
                Ok(()) | Err(AskError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    node.settle().await
}

#[test]
fn money_is_constant_and_each_message_is_taken_once() {
    let check = |node: &TestNode| {
        node.block_on(async {
            assert_eq!(node.node().pending_messages(), Some(0));
            let (mut sum, mut received, mut back) = (0, 0, 0);
            for key in KEYS {
                let account = node.actor::<Account>(key).ask(Balance).await.unwrap();
                sum += account.cents;
                received += account.received.len();
                back += account.taken_back.len();
                for from in KEYS {
                    let numbers = account.received.iter().filter(|(sender, _)| sender == from);
                    let numbers: Vec<u64> = numbers.map(|(_, number)| *number).collect();
                    assert!(
                        numbers.is_sorted_by(|a, b| a < b),
                        "{from} to {key}: {numbers:?}"
                    );
                }
            }
            assert_eq!(sum, 400);
            assert_eq!(received + back, 18, "{received} taken, {back} back");
            assert!(back > 0);
        });
    };
    CrashPlan::default()
        .pairs(64)
        .run(with_two_workers, transfers, check);
}
