//! Both decoders agree: on whatever is encoded, and on what became of it by damage.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::encode_entry;

/// Bytes of lengths around those where the encoding changes.
fn blob() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 250..260),
        Just(vec![7; 66_000])
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", "[a-zä]{120,140}", Just("x".repeat(66_000))]
}

fn key() -> impl Strategy<Value = KeyStamp> {
    (text(), any::<u128>(), blob()).prop_map(|(key, fingerprint, reply)| KeyStamp {
        key,
        fingerprint,
        reply: reply.into(),
    })
}

fn command() -> impl Strategy<Value = CommandStamp> {
    (".{0,9}", any::<u128>(), option::of(key())).prop_map(|(name, id, key)| CommandStamp {
        name: name.into(),
        id,
        key,
    })
}

fn event() -> impl Strategy<Value = EventRecord> {
    (".{0,9}", any::<u32>(), blob()).prop_map(|(name, version, data)| EventRecord {
        name: name.into(),
        version,
        data: data.into(),
    })
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![1..300_u64, 65_000..66_000_u64, 1..u64::MAX]
}

fn events() -> impl Strategy<Value = Vec<EventRecord>> {
    prop_oneof![vec(event(), 0..4), vec(event(), 15..18)]
}

prop_compose! {
    fn entry()(
        (actor, at, events_before, seed) in (number(), number(), any::<u64>(), number()),
        time_us in prop_oneof![-40_000..40_000_i64, any::<i64>()],
        birth in option::of((text(), ".{0,9}")),
        command in option::of(command()),
        events in events(),
        operations in blob(),
        (cause, traceparent) in (option::of(text()), option::of(text())),
    ) -> Entry {
        Entry {
            actor: ActorNumber::new(actor).unwrap(),
            number: EntryNumber::new(at).unwrap(),
            events_before,
            birth: birth.map(|(id, kind)| Birth { id, kind }),
            time_us,
            seed,
            command,
            events,
            operations: operations.into(),
            cause,
            traceparent,
        }
    }
}

/// The derived decoder; `None` also for what it leaves over.
fn derived(frame: &[u8]) -> Option<Entry> {
    let body = frame.strip_prefix(&[ENTRY_FORMAT])?;
    let mut rest = body;
    let entry = rmp_serde::from_read(&mut rest).ok()?;
    rest.is_empty().then_some(entry)
}

/// Whatever decodes is what the derived decoder finds there; returns whether it does.
#[track_caller]
fn agrees(frame: &[u8]) -> bool {
    let Ok(found) = EntryRef::decode(frame) else {
        return false;
    };
    let entry = found.to_entry();
    assert_eq!(derived(frame).as_ref(), Some(&entry));
    assert_eq!(EntryRef::from(&entry), found);
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_is_found_again(entry in entry()) {
        let frame = encode_entry(&entry).unwrap();
        prop_assert_eq!(EntryRef::decode(&frame).unwrap().to_entry(), entry);
        prop_assert!(agrees(&frame));
        let cut = EntryRef::decode(&frame[..frame.len() - 1]).is_err();
        prop_assert!(cut, "it was cut by a byte");
    }

    #[test]
    fn damage_is_refused_or_read_alike(
        entry in entry(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frame = encode_entry(&entry).unwrap();
        // Most of a large entry is text: what is around it is where it matters.
        let length = frame.len().min(300);
        for (at, byte) in damage {
            frame[at.index(length)] = byte;
        }
        agrees(&frame);
    }

    #[test]
    fn anything_is_refused_or_read_alike(body in vec(any::<u8>(), 0..200)) {
        agrees(&[&[ENTRY_FORMAT, 0x9b], body.as_slice()].concat());
    }
}

#[test]
fn a_number_of_events_that_cannot_be_takes_no_memory() {
    let entry = crate::conformance::sample("a", ActorNumber::FIRST, None, 0);
    let frame = encode_entry(&entry).unwrap();
    let list = frame.iter().rposition(|byte| *byte == 0x90).unwrap();
    let mut claims = frame[..list].to_vec();
    claims.extend([0xdd, 0xff, 0xff, 0xff, 0xff]);
    assert!(EntryRef::decode(&claims).is_err());
}
