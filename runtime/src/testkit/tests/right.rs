//! An account that keeps every law, and claims about it that are right and wrong.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check_fails;
use crate::testkit::{START, given, given_named};
use crate::{
    ActorId, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live, Never,
    Outcome, StatefulActor, Timestamp,
};

#[derive(Event)]
#[event(prefix = "account.")]
enum AccountEvent {
    Deposited {
        cents: u64,
    },
    #[event(version = 2, from(1 = WithdrawnV1))]
    Withdrawn {
        cents: u64,
        at: Timestamp,
    },
    Printed {
        outcome: String,
    },
}

#[derive(Serialize, Deserialize)]
struct WithdrawnV1 {
    cents: u64,
}

impl From<WithdrawnV1> for AccountEvent {
    fn from(old: WithdrawnV1) -> Self {
        Self::Withdrawn {
            cents: old.cents,
            at: START,
        }
    }
}

/// The map and the odd keys are no hindrance.
#[derive(Serialize, Deserialize)]
struct Account {
    owner: String,
    cents: u64,
    by_size: HashMap<(u64, bool), u32>,
    missed: u64,
}

impl StatefulActor for Account {
    const KIND: &'static str = "account";
    type Event = AccountEvent;

    fn new(id: &ActorId) -> Self {
        Self {
            owner: id.key().to_owned(),
            cents: 0,
            by_size: HashMap::new(),
            missed: 0,
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents } => {
                self.cents += cents;
                *self.by_size.entry((*cents, true)).or_default() += 1;
            }
            AccountEvent::Withdrawn { cents, .. } => self.cents -= cents,
            AccountEvent::Printed { outcome } => self.owner.push_str(outcome),
        }
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Deposit {
    cents: u64,
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64, rejection = Overdrawn)]
struct Withdraw {
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Overdrawn {
    missing: u64,
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = (u64, Timestamp))]
struct Audit;

#[derive(Serialize, Deserialize)]
struct Print {
    text: String,
}

impl Effect for Print {
    const NAME: &'static str = "print";
    type Output = u32;

    async fn run(&self, _: &EffectContext) -> Result<u32, EffectError> {
        Err(EffectError::fatal("the kit runs no effect"))
    }
}

impl Handle<Deposit> for Account {
    fn handle(account: &mut Live<'_, Self>, deposit: Deposit) -> Result<u64, Never> {
        account.emit(AccountEvent::Deposited {
            cents: deposit.cents,
        });
        account.every("audit", Duration::from_secs(60), Audit);
        let text = format!("{} of {}", account.random() % 10, account.owner);
        account.run(Print { text });
        Ok(account.cents)
    }
}

impl Handle<Withdraw> for Account {
    fn handle(account: &mut Live<'_, Self>, withdraw: Withdraw) -> Result<u64, Overdrawn> {
        let cents = withdraw.cents;
        if account.cents < cents {
            return Err(Overdrawn {
                missing: cents - account.cents,
            });
        }
        let at = account.now();
        account.emit(AccountEvent::Withdrawn { cents, at });
        account.cancel("audit");
        Ok(account.cents)
    }
}

impl Handle<Audit> for Account {
    fn handle(account: &mut Live<'_, Self>, _: Audit) -> Result<(u64, Timestamp), Never> {
        let missed = account.fired().map_or(0, |fired| fired.missed);
        Ok((missed, account.now()))
    }
}

impl Handle<Done<Print>> for Account {
    fn handle(account: &mut Live<'_, Self>, done: Done<Print>) -> Result<(), Never> {
        let outcome = format!(": {:?}", done.outcome);
        account.emit(AccountEvent::Printed { outcome });
        Ok(())
    }
}

#[test]
fn a_life_of_an_account() {
    let minute = Duration::from_secs(60);
    given::<Account>([deposited(100), deposited(10)])
        .when(Withdraw { cents: 30 })
        .then_events([AccountEvent::Withdrawn {
            cents: 30,
            at: START,
        }])
        .then_reply(80)
        .then_no_effects()
        .when(Withdraw { cents: 81 })
        .then_rejection(Overdrawn { missing: 1 })
        .then_no_events()
        .at(START.plus(minute))
        .when(Deposit { cents: 20 })
        .then_events([deposited(20)])
        .then_reply(100)
        .then_timer("audit", minute)
        .then_effect::<Print>(|print| assert!(print.text.ends_with(" of test")))
        .then_state(|account| assert_eq!(account.cents, 100))
        .when_done::<Print>(Outcome::Succeeded(7))
        .then_state(|account| assert_eq!(account.owner, "test: Succeeded(7)"))
        .when_timer::<Audit>("audit")
        .then_reply((0, START.plus(2 * minute)))
        .later(Duration::from_secs(150))
        .when_timer::<Audit>("audit")
        .then_reply((1, START.plus(2 * minute + Duration::from_secs(150))))
        .when(Withdraw { cents: 1 })
        .then_no_timer("audit");
}

#[test]
fn the_name_is_the_one_asked_for() {
    given_named::<Account>("bank", "alice", [])
        .when(Audit)
        .then_no_events()
        .then_state(|account| assert_eq!(account.owner, "alice"));
}

fn deposited(cents: u64) -> AccountEvent {
    AccountEvent::Deposited { cents }
}

#[test]
fn wrong_claims_fail_and_show_both_sides() {
    let deposit = || given::<Account>([]).when(Deposit { cents: 5 });
    check_fails(
        || drop(deposit().then_events([deposited(6)])),
        &[
            "account.deposited v1 {\"cents\":6}",
            "account.deposited v1 {\"cents\":5}",
        ],
    );
    check_fails(
        || drop(deposit().then_no_events()),
        &["nothing", "{\"cents\":5}"],
    );
    check_fails(|| drop(deposit().then_reply(6)), &["reply 6", "reply 5"]);
    let minute = Duration::from_secs(60);
    check_fails(
        || drop(deposit().then_timer("audit", minute * 2)),
        &["120s", "60s"],
    );
    check_fails(
        || drop(deposit().then_timer("adit", minute)),
        &["adit", "audit"],
    );
    check_fails(
        || drop(deposit().then_no_timer("audit")),
        &["audit", "2026-01-01T00:01:00"],
    );
    check_fails(|| drop(deposit().then_no_effects()), &["print"]);
    let withdraw = || given::<Account>([]).when(Withdraw { cents: 5 });
    check_fails(
        || drop(withdraw().then_reply(5)),
        &["reply 5", "rejection {\"missing\":5}"],
    );
    check_fails(
        || drop(withdraw().then_rejection(Overdrawn { missing: 4 })),
        &["{\"missing\":4}", "{\"missing\":5}"],
    );
    check_fails(
        || drop(withdraw().then_effect::<Print>(|_| ())),
        &["print", "once"],
    );
    check_fails(
        || drop(withdraw().when_timer::<Audit>("audit")),
        &["no timer \"audit\""],
    );
    check_fails(
        || drop(withdraw().when_done::<Print>(Outcome::Unknown)),
        &["no effect \"print\""],
    );
}

#[test]
fn a_panic_in_a_handler_fails_the_test() {
    check_fails(
        || drop(given::<Account>([deposited(u64::MAX)]).when(Deposit { cents: 1 })),
        &["\"deposit\" failed", "overflow"],
    );
}
