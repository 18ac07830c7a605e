//! The derives of `Event` and `Command`, as a user's crate sees them.
//!
//! Stored forms are compared byte by byte: journals of earlier releases hold them, so a test that
//! fails here is a change of the format on disk. Mistakes in attributes are tested in `runtime/macros`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use steadfast::{Command, Event, EventError, Never};

/// One variant of each form, and each way of naming them.
#[derive(Debug, Clone, PartialEq, Event)]
#[event(prefix = "account.")]
enum AccountEvent {
    Opened,
    Deposited {
        amount: u64,
        #[serde(default)]
        note: Option<String>,
    },
    #[event(name = "account.withdrawn", version = 3, from(1 = WithdrawnV1, 2 = WithdrawnV2))]
    Withdrawn(Withdrawn),
    #[event(version = 2, from(1 = LimitV1), was = ["account.limited", "limit"])]
    LimitSet {
        cents: u64,
    },
    #[event(no_from)]
    Refunded(Withdrawn),
    r#Move {
        r#type: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Withdrawn {
    cents: u64,
    to: String,
}

#[derive(Serialize, Deserialize)]
struct WithdrawnV1 {
    euros: u64,
}

#[derive(Serialize, Deserialize)]
struct WithdrawnV2 {
    cents: u64,
}

impl From<WithdrawnV1> for Withdrawn {
    fn from(old: WithdrawnV1) -> Self {
        WithdrawnV2 {
            cents: old.euros * 100,
        }
        .into()
    }
}

impl From<WithdrawnV2> for Withdrawn {
    fn from(old: WithdrawnV2) -> Self {
        Self {
            cents: old.cents,
            to: "cash".to_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct LimitV1 {
    euros: u64,
}

impl From<LimitV1> for AccountEvent {
    fn from(old: LimitV1) -> Self {
        Self::LimitSet {
            cents: old.euros * 100,
        }
    }
}

/// What the attributes of serde do to fields, in both directions.
#[derive(Debug, PartialEq, Event)]
enum Tuned {
    Fields {
        #[serde(rename = "n")]
        number: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        maybe: Option<u8>,
        #[serde(skip_serializing_if = "is_default", default)]
        list: Vec<u8>,
        #[serde(skip)]
        cached: u8,
        #[serde(with = "as_text")]
        text: u64,
        #[serde(alias = "old")]
        new: u8,
    },
    Flat {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    },
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A number as text, for `#[serde(with)]`.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: std::fmt::Display,
        S: Serializer,
    {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// An actor may have no events at all.
#[derive(Debug, Event)]
enum NoEvents {}

/// A type whose fields JSON cannot express.
#[derive(Debug, PartialEq, Event)]
enum Odd {
    Keyed { by: BTreeMap<(u8, u8), u8> },
}

fn withdrawn() -> Withdrawn {
    Withdrawn {
        cents: 250,
        to: "bob".to_owned(),
    }
}

fn named<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap_or_default()
}

/// It is stored under this name and version, as the bytes of `form`, and read back as it was.
#[track_caller]
fn check<E: Event + PartialEq + std::fmt::Debug>(
    event: &E,
    (name, version): (&str, u32),
    form: &serde_json::Value,
) {
    assert_eq!((event.name(), event.version()), (name, version));
    let bytes = event.encode().unwrap_or_default();
    assert_eq!(rmp_serde::from_slice(&bytes).ok().as_ref(), Some(form));
    assert_eq!(event.to_json().ok().as_ref(), Some(form));
    assert_eq!(E::decode(name, version, &bytes).ok().as_ref(), Some(event));
}

#[test]
fn every_form_comes_back() {
    check(&AccountEvent::Opened, ("account.opened", 1), &json!({}));
    let deposited = AccountEvent::Deposited {
        amount: 7,
        note: Some("gift".to_owned()),
    };
    let form = json!({ "amount": 7, "note": "gift" });
    check(&deposited, ("account.deposited", 1), &form);
    let form = json!({ "cents": 250, "to": "bob" });
    check(
        &AccountEvent::Withdrawn(withdrawn()),
        ("account.withdrawn", 3),
        &form,
    );
    check(
        &AccountEvent::Refunded(withdrawn()),
        ("account.refunded", 1),
        &form,
    );
    let limit = AccountEvent::LimitSet { cents: 5 };
    check(&limit, ("account.limit_set", 2), &json!({ "cents": 5 }));
    let moved = AccountEvent::Move {
        r#type: "branch".to_owned(),
    };
    check(&moved, ("account.move", 1), &json!({ "type": "branch" }));
}

#[test]
fn the_stored_bytes_stay() {
    let bytes = |event: AccountEvent| event.encode().unwrap();
    assert_eq!(bytes(AccountEvent::Opened), [0x80]);
    let deposited = AccountEvent::Deposited {
        amount: 7,
        note: None,
    };
    assert_eq!(bytes(deposited), b"\x82\xa6amount\x07\xa4note\xc0");
    assert_eq!(
        bytes(AccountEvent::Withdrawn(withdrawn())),
        named(&withdrawn())
    );
    assert_eq!(
        bytes(AccountEvent::LimitSet { cents: 5 }),
        b"\x81\xa5cents\x05"
    );
}

#[test]
fn the_type_inside_becomes_the_event() {
    assert_eq!(
        AccountEvent::from(withdrawn()),
        AccountEvent::Withdrawn(withdrawn())
    );
}

#[test]
fn old_versions_become_the_new_one() {
    let read = |version, bytes: &[u8]| AccountEvent::decode("account.withdrawn", version, bytes);
    let expected = AccountEvent::Withdrawn(Withdrawn {
        cents: 300,
        to: "cash".to_owned(),
    });
    assert_eq!(
        read(1, &named(&WithdrawnV1 { euros: 3 })).unwrap(),
        expected
    );
    assert_eq!(
        read(2, &named(&WithdrawnV2 { cents: 300 })).unwrap(),
        expected
    );
    let limit = named(&LimitV1 { euros: 3 });
    let read = AccountEvent::decode("account.limit_set", 1, &limit).unwrap();
    assert_eq!(read, AccountEvent::LimitSet { cents: 300 });
}

#[test]
fn former_names_are_read_in_every_version() {
    for name in ["account.limited", "limit"] {
        let old = AccountEvent::decode(name, 1, &named(&LimitV1 { euros: 3 })).unwrap();
        assert_eq!(old, AccountEvent::LimitSet { cents: 300 });
        let current = AccountEvent::decode(name, 2, b"\x81\xa5cents\x05").unwrap();
        assert_eq!(current, AccountEvent::LimitSet { cents: 5 });
        assert_eq!(current.name(), "account.limit_set");
    }
}

#[test]
fn a_field_that_was_added_has_its_default() {
    let read = AccountEvent::decode("account.deposited", 1, b"\x81\xa6amount\x07").unwrap();
    assert_eq!(
        read,
        AccountEvent::Deposited {
            amount: 7,
            note: None
        }
    );
}

#[test]
fn a_field_that_was_removed_is_passed_over() {
    let read = AccountEvent::decode("account.opened", 1, b"\x81\xa6amount\x07").unwrap();
    assert_eq!(read, AccountEvent::Opened);
}

#[track_caller]
fn check_unknown<E: Event>(name: &str, version: u32) {
    match E::decode(name, version, &[0x80]).err() {
        Some(EventError::Unknown {
            name: said,
            version: number,
        }) => {
            assert_eq!((said.as_str(), number), (name, version));
        }
        other => assert!(other.is_none(), "not unknown, but {other:?}"),
    }
}

#[test]
fn what_is_not_known_says_so() {
    check_unknown::<AccountEvent>("account.closed", 1);
    check_unknown::<AccountEvent>("opened", 1);
    check_unknown::<AccountEvent>("", 1);
    check_unknown::<AccountEvent>("account.opened", 2);
    check_unknown::<AccountEvent>("account.opened", 0);
    check_unknown::<AccountEvent>("account.withdrawn", 4);
    check_unknown::<NoEvents>("account.opened", 1);
}

#[test]
fn bytes_that_do_not_fit_say_so() {
    let missing = AccountEvent::decode("account.limit_set", 2, &[0x80]).unwrap_err();
    let EventError::Decode { name, version, .. } = &missing else {
        panic!("{missing:?}")
    };
    assert_eq!((name.as_str(), *version), ("account.limit_set", 2));
    let old = AccountEvent::decode("account.withdrawn", 1, &[0xc1]).unwrap_err();
    assert!(
        matches!(old, EventError::Decode { version: 1, .. }),
        "{old:?}"
    );
    let none = AccountEvent::decode("account.opened", 1, &[]).unwrap_err();
    assert!(matches!(none, EventError::Decode { .. }), "{none:?}");
}

#[test]
fn attributes_of_serde_work_on_fields() {
    let fields = |maybe, list| Tuned::Fields {
        number: 1,
        maybe,
        list,
        cached: 0,
        text: 42,
        new: 2,
    };
    let form = json!({ "n": 1, "text": "42", "new": 2 });
    check(&fields(None, vec![]), ("fields", 1), &form);
    let form = json!({ "n": 1, "maybe": 9, "list": [3], "text": "42", "new": 2 });
    check(&fields(Some(9), vec![3]), ("fields", 1), &form);
    let old = named(&json!({ "n": 1, "text": "42", "old": 2 }));
    assert_eq!(
        Tuned::decode("fields", 1, &old).unwrap(),
        fields(None, vec![])
    );
    let flat = Tuned::Flat {
        id: 1,
        rest: BTreeMap::from([("a".to_owned(), 2)]),
    };
    check(&flat, ("flat", 1), &json!({ "id": 1, "a": 2 }));
}

#[test]
fn what_json_cannot_express_is_an_error_there_only() {
    let odd = Odd::Keyed {
        by: BTreeMap::from([((1, 2), 3)]),
    };
    odd.to_json().unwrap_err();
    assert_eq!(
        Odd::decode("keyed", 1, &odd.encode().unwrap()).unwrap(),
        odd
    );
}

#[derive(Serialize, Deserialize, Command)]
#[command(name = "bank.withdraw", reply = Vec<u64>, rejection = Overdrawn)]
struct Withdraw {
    cents: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Overdrawn;

#[derive(Serialize, Deserialize, Command)]
enum CloseAccount {
    Now,
    Later { days: u32 },
}

/// Compiles for the answers of exactly these types.
fn answers<C: Command<Reply = R, Rejection = N>, R, N>(_: &C) -> &'static str {
    C::NAME
}

#[test]
fn a_command_has_a_name_and_typed_answers() {
    assert_eq!(
        answers::<_, Vec<u64>, Overdrawn>(&Withdraw { cents: 1 }),
        "bank.withdraw"
    );
    assert_eq!(answers::<_, (), Never>(&CloseAccount::Now), "close_account");
    assert_eq!(
        answers::<_, (), Never>(&CloseAccount::Later { days: 2 }),
        "close_account"
    );
}
