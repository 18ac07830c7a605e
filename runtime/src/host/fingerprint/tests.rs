//! Goal: without maps nothing is hashed otherwise than before; with maps their order does not count.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Named, Sorted, fingerprint, unsorted_fingerprint};
use crate::model::{Command, Never};

fn sorted(value: &impl Serialize) -> Vec<u8> {
    let mut named: Named = rmp_serde::Serializer::new(Vec::new()).with_struct_map();
    value.serialize(Sorted(&mut named)).unwrap();
    named.into_inner()
}

fn plain(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(u64);

#[derive(Serialize)]
struct Pair(i8, &'static str);

#[derive(Serialize)]
enum Shape {
    Unit,
    Newtype(Option<Newtype>),
    Tuple(u128, (f32, f64), char),
    Struct { zebra: bool, ape: Vec<Shape> },
}

/// A sequence that does not know how long it is.
struct Uncounted(u8);

impl Serialize for Uncounted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0).filter(|number| number % 3 != 0))
    }
}

#[derive(Serialize)]
struct Zoo {
    zebra: Shape,
    ape: Vec<(Pair, Unit, [i64; 3])>,
    bytes: serde_bytes::ByteBuf,
    none: Option<()>,
    long: Uncounted,
    address: std::net::IpAddr,
    negative: i128,
}

fn zoo() -> Zoo {
    let inner = Shape::Struct {
        zebra: true,
        ape: vec![Shape::Unit, Shape::Tuple(u128::MAX, (0.5, -0.5), 'ß')],
    };
    Zoo {
        zebra: Shape::Struct {
            zebra: false,
            ape: vec![Shape::Newtype(Some(Newtype(u64::MAX))), inner],
        },
        ape: vec![(Pair(-3, "b"), Unit, [i64::MIN, 0, 70_000])],
        bytes: vec![7; 300].into(),
        none: None,
        long: Uncounted(70),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        negative: -5,
    }
}

#[test]
fn what_has_no_map_is_hashed_as_it_always_was() {
    assert_eq!(sorted(&zoo()), plain(&zoo()));
    let one = BTreeMap::from([("one", zoo())]);
    assert_eq!(sorted(&one), plain(&one), "one entry is in order");
    assert_eq!(
        sorted(&Uncounted(0)),
        plain(&Uncounted(0)),
        "nor an empty sequence"
    );
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    lines: HashMap<String, HashMap<u32, u32>>,
    notes: Vec<String>,
    #[serde(flatten)]
    more: HashMap<String, u8>,
}

impl Command for Order {
    const NAME: &'static str = "order";
    type Reply = ();
    type Rejection = Never;
}

fn order(notes: [&str; 2]) -> Order {
    let line = || (0..40).map(|number| (number, number * 3)).collect();
    Order {
        lines: (0..40).map(|sku| (format!("sku-{sku}"), line())).collect(),
        notes: notes.map(str::to_owned).to_vec(),
        more: (0..40).map(|number| (format!("m{number}"), 1)).collect(),
    }
}

/// Regression: each `HashMap` iterates in an order of its own, so that a retry which was decoded anew had another
/// fingerprint and was told that its key was another command's.
#[test]
fn equal_maps_have_equal_fingerprints() {
    let (first, again) = (order(["a", "b"]), order(["a", "b"]));
    assert_ne!(plain(&first), plain(&again), "they iterate differently");
    assert_eq!(fingerprint(&first).unwrap(), fingerprint(&again).unwrap());
    let other = order(["b", "a"]);
    assert_ne!(fingerprint(&first).unwrap(), fingerprint(&other).unwrap());
    let mut more = first.clone();
    more.lines.get_mut("sku-7").unwrap().insert(7, 0);
    assert_ne!(fingerprint(&first).unwrap(), fingerprint(&more).unwrap());
    // And what it was made of before is still known.
    assert_ne!(
        unsorted_fingerprint(&first).unwrap(),
        unsorted_fingerprint(&again).unwrap()
    );
}

#[test]
fn a_map_is_the_map_with_its_entries_in_order() {
    let map = BTreeMap::from([(2, "b"), (1, "a"), (300, "c")]);
    assert_eq!(sorted(&map), plain(&map));
    // Longer texts sort behind shorter ones, because their lengths come first.
    let texts = BTreeMap::from([("aa", 1), ("b", 2)]);
    let (head, entries) = (&plain(&texts)[..1], &plain(&texts)[1..]);
    assert_eq!(
        sorted(&texts),
        [head, &entries[4..], &entries[..4]].concat()
    );
}
