//! The test kit on random histories, and on actors that break their promises: each must be caught.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::testkit::{CommitFault, Sequence, Step, TestNode, crash_everywhere};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};

#[derive(Event)]
#[event(prefix = "account.")]
enum AccountEvent {
    Deposited { cents: u64 },
}

/// How an account is broken.
const SOUND: char = ' ';
/// Its state depends on more than its events.
const IMPURE: char = 'i';
/// A field of its state is not stored.
const FORGETFUL: char = 'f';

#[derive(Serialize, Deserialize)]
struct Account<const BROKEN: char> {
    cents: u64,
    deposits: u64,
    #[serde(skip)]
    unstored: u64,
}

static APPLIED: AtomicU64 = AtomicU64::new(0);

impl<const BROKEN: char> StatefulActor for Account<BROKEN> {
    const KIND: &'static str = "account";
    type Event = AccountEvent;

    fn new(_: &ActorId) -> Self {
        Self {
            cents: 0,
            deposits: 0,
            unstored: 0,
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        let AccountEvent::Deposited { cents } = event;
        self.cents += cents;
        self.unstored += 1;
        self.deposits = match BROKEN {
            IMPURE => APPLIED.fetch_add(1, Ordering::SeqCst),
            FORGETFUL => self.unstored,
            _ => self.deposits + 1,
        };
    }
}

/// Tells the balance.
#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Deposit {
    cents: u64,
}

impl<const BROKEN: char> Handle<Deposit> for Account<BROKEN> {
    fn handle(account: &mut Live<'_, Self>, deposit: Deposit) -> Result<u64, Never> {
        let Deposit { cents } = deposit;
        account.emit(AccountEvent::Deposited { cents });
        Ok(account.cents)
    }
}

/// Plays deposits against a sum.
fn play<const BROKEN: char>(sequence: &Sequence<u64>, keyed: bool) {
    let mut sum = 0;
    sequence.play(
        |node| node.register::<Account<BROKEN>>(|kind| kind),
        async |node, cents, key| {
            let account = node.actor::<Account<BROKEN>>("a");
            let deposit = account.ask(Deposit { cents: *cents });
            let balance = if keyed {
                deposit.key(key).await?
            } else {
                deposit.await?
            };
            sum += cents;
            assert_eq!(balance, sum, "a deposit was lost or doubled");
            Ok(())
        },
    );
}

fn deposits(count: u64) -> Vec<Step<u64>> {
    (1..=count).map(Step::Do).collect()
}

fn doubled() -> Sequence<u64> {
    let crash = Step::CrashAfter {
        writes: 1,
        fate: CommitFault::Kept,
    };
    Sequence::new([crash, Step::Do(1)])
}

#[test]
fn a_sound_account_passes() {
    play::<SOUND>(&Sequence::new(deposits(10)), true);
    play::<SOUND>(&doubled(), true);
}

#[test]
#[should_panic(expected = "a deposit was lost or doubled")]
fn a_deposit_without_a_key_is_doubled_by_a_retry() {
    play::<SOUND>(&doubled(), false);
}

#[test]
#[should_panic(expected = "broken law: replay")]
fn a_state_that_depends_on_more_than_events_is_found() {
    play::<IMPURE>(&Sequence::new(deposits(2)), true);
}

/// Only what came from a snapshot differs: there must be one.
#[test]
#[should_panic(expected = "its snapshot and tail make of it")]
fn a_state_that_is_not_stored_whole_is_found() {
    play::<FORGETFUL>(&Sequence::new(deposits(5)), true);
}

#[test]
#[should_panic(expected = "broken law: replay")]
fn crash_everywhere_checks_the_laws_too() {
    crash_everywhere(
        |node| node.register::<Account<IMPURE>>(|kind| kind),
        async |node| {
            let account = node.actor::<Account<IMPURE>>("a");
            account.ask(Deposit { cents: 1 }).key("k").await?;
            Ok(())
        },
        |_| {},
    );
}

#[test]
fn states_and_events_are_there_to_look_at() {
    let node = TestNode::new(|node| node.register::<Account<SOUND>>(|kind| kind));
    node.block_on(async {
        let account = node.actor::<Account<SOUND>>("a");
        account.ask(Deposit { cents: 7 }).await.unwrap();
    });
    assert_eq!(node.state::<Account<SOUND>>("a").cents, 7);
    assert_eq!(node.state::<Account<SOUND>>("b").cents, 0);
    let events = node.events::<Account<SOUND>>("a");
    assert!(matches!(events[..], [AccountEvent::Deposited { cents: 7 }]));
    assert!(node.events::<Account<SOUND>>("b").is_empty());
}

#[test]
fn actors_leave_memory_when_told() {
    let node = TestNode::new(|node| node.register::<Account<SOUND>>(|kind| kind));
    node.block_on(async {
        let account = node.actor::<Account<SOUND>>("a");
        account.ask(Deposit { cents: 7 }).await.unwrap();
        node.advance(Duration::from_secs(1)).await.unwrap();
        assert_eq!(node.node().health().await.len(), 1);
        node.passivate().await.unwrap();
        assert_eq!(node.node().health().await.len(), 0);
        assert_eq!(account.ask(Deposit { cents: 1 }).await, Ok(8));
    });
}

#[cfg(feature = "proptest")]
mod random {
    use proptest::prelude::{ProptestConfig, proptest};
    use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
    use steadfast::testkit::{Step, sequences};

    use super::{SOUND, play};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn a_sound_account_keeps_its_promises(sequence in sequences(1..100_u64, 1..20)) {
            play::<SOUND>(&sequence, true);
        }
    }

    /// The control: unkeyed deposits are doubled, and what is left of the sequence is the crash and deposits
    /// of one cent.
    #[test]
    fn what_is_found_is_shrunk() {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        // The same draws each time: where a sequence stops shrinking depends on where it began.
        let draws = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let found = TestRunner::new_with_rng(config, draws).run(
            &sequences(1..100_u64, 1..20),
            |sequence| {
                play::<SOUND>(&sequence, false);
                Ok(())
            },
        );
        let Err(TestError::Fail(reason, shrunk)) = found else {
            panic!("it was not found: {found:?}");
        };
        assert!(reason.message().contains("lost or doubled"), "{reason}");
        let small = |step: &Step<u64>| matches!(step, Step::CrashAfter { .. } | Step::Do(1));
        let steps = shrunk.steps();
        assert!(steps.len() <= 6 && steps.iter().all(small), "{shrunk:?}");
    }
}
