//! What is encoded is decoded, keys sort as their numbers, and no damaged bytes panic.

use proptest::prelude::*;

use super::{
    ACTOR_NAMES, ACTOR_NUMBERS, Checked, Past, actor_name_key, actor_number_key,
    actor_of_number_key, actor_of_row, actor_value, commit_of_key, entry_key, entry_of_key,
    split_entry,
};
use crate::ids::{ActorId, ActorNumber, CommitIndex, EntryNumber, HistoryId};

fn number(value: u64) -> ActorNumber {
    ActorNumber::new(value).unwrap()
}

fn index(value: u64) -> CommitIndex {
    CommitIndex::new(value).unwrap()
}

#[test]
fn actors_by_name_and_number() {
    let id = ActorId::new("space", "key/ä").unwrap();
    let (key, value) = (actor_name_key(&id), actor_value(number(300), "kind"));
    let row = actor_of_row(&key, &value).unwrap();
    assert_eq!(
        (row.id, row.number, row.kind.as_str()),
        (id, number(300), "kind")
    );
    assert!(key.as_slice() > ACTOR_NAMES.0 && key.as_slice() < ACTOR_NAMES.1);
    let key = actor_number_key(number(300));
    assert!(&key[..] > ACTOR_NUMBERS.0 && &key[..] < ACTOR_NUMBERS.1);
    assert_eq!(actor_of_number_key(&key).unwrap(), number(300));
    for (key, value) in [
        (&b"i"[..], &value[..]),
        (b"ia/b", &[0; 8]),
        (b"ia/b", &[1; 7]),
        (b"i\xff/b", &value),
    ] {
        assert!(actor_of_row(key, value).is_err());
    }
}

#[test]
fn histories_follow_each_other() {
    let (old, new) = (
        HistoryId::from_bytes([1; 16]),
        HistoryId::from_bytes([2; 16]),
    );
    let past = Past(vec![(old, index(1)), (new, index(10))]);
    assert_eq!(Past::decode(&past.encode()).unwrap(), past);
    assert_eq!(
        (past.at(index(9)), past.at(index(10))),
        (Some(old), Some(new))
    );
    assert_eq!(past.current(), Some(new));
    assert!(Past::decode(&[]).is_err());
    assert!(Past::decode(&Past(vec![(old, index(5)), (new, index(5))]).encode()).is_err());
    assert_eq!(Past(vec![(new, index(10))]).at(index(9)), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_sort_as_their_numbers(a in 1_u64.., b in 1_u64.., c in 1_u64.., d in 1_u64..) {
        let key = |actor: u64, entry| entry_key(number(actor), EntryNumber::new(entry).unwrap());
        prop_assert_eq!((a, b).cmp(&(c, d)), key(a, b).cmp(&key(c, d)));
        let (actor, entry) = entry_of_key(&key(a, b)).unwrap();
        prop_assert_eq!((actor.get(), entry.get()), (a, b));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(crate::record::CommitRecord::decode(&bytes));
        drop(Checked::decode(&bytes));
        drop(Past::decode(&bytes));
        drop(commit_of_key(&bytes));
        drop(entry_of_key(&bytes));
        drop(split_entry(&bytes));
        drop(actor_of_row(&bytes, &bytes));
        drop(actor_of_number_key(&bytes));
        drop(crate::entry::decode_entry(&bytes));
    }
}
