//! Sizes and durations: what is read, what is refused, and that both formats give back the same.

use std::time::Duration;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{InvalidQuantity, Size, Span};

fn through_json<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn through_msgpack<T: Serialize + DeserializeOwned>(value: &T) -> T {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(value).unwrap()).unwrap()
}

#[test]
fn sizes_are_read_with_and_without_unit() {
    assert_eq!("20GiB".parse(), Ok(Size::gib(20)));
    assert_eq!("1.5 MB".parse(), Ok(Size::bytes(1_500_000)));
    assert_eq!("4096".parse(), Ok(Size::bytes(4096)));
    assert_eq!(
        serde_json::from_str::<Size>("4096").unwrap(),
        Size::bytes(4096)
    );
}

#[test]
fn durations_are_read_in_words_of_units() {
    let read = |text: &str| text.parse::<Span>().unwrap().duration();
    assert_eq!(read("90s"), Duration::from_secs(90));
    assert_eq!(read("1h 30m"), Duration::from_secs(5_400));
    assert_eq!(read("7d"), Duration::from_secs(604_800));
    assert_eq!(read("2 weeks"), Duration::from_secs(1_209_600));
    assert_eq!(read("250ms"), Duration::from_millis(250));
    assert_eq!(read("PT5M"), Duration::from_secs(300));
}

#[test]
fn what_is_refused_says_what_to_write() {
    let size = "20 gigs".parse::<Size>().unwrap_err().to_string();
    assert!(size.contains("\"20 gigs\" is no size"), "{size}");
    let duration = "soon".parse::<Span>().unwrap_err().to_string();
    assert!(duration.contains("such as \"90s\""), "{duration}");
    assert!(matches!(
        "1mo".parse::<Span>(),
        Err(InvalidQuantity::Varying { .. })
    ));
    assert!(matches!(
        "-5m".parse::<Span>(),
        Err(InvalidQuantity::Range { .. })
    ));
    assert!(matches!(
        "5m ago".parse::<Span>(),
        Err(InvalidQuantity::Range { .. })
    ));
    assert!(matches!(
        "40000d".parse::<Span>(),
        Err(InvalidQuantity::Range { .. })
    ));
    let bare = serde_json::from_str::<Span>("300").unwrap_err().to_string();
    assert!(bare.contains("a duration with its unit"), "{bare}");
    assert!(serde_json::from_str::<Size>("-1").is_err());
}

proptest! {
    #[test]
    fn a_size_survives_both_formats(bytes: u64, shift in 0_u32..60) {
        for size in [Size::bytes(bytes), Size::bytes(bytes >> shift << shift), Size::bytes(1 << shift)] {
            prop_assert_eq!(through_msgpack(&size), size);
            prop_assert_eq!(through_json(&size), size, "{}", size);
        }
    }

    #[test]
    fn a_duration_survives_both_formats(micros in 0..3_153_600_000_000_000_u64, unit in 0_u32..10) {
        let scale = 10_u64.pow(unit);
        let span = Span(Duration::from_micros(micros / scale * scale));
        prop_assert_eq!(through_msgpack(&span), span);
        prop_assert_eq!(through_json(&span), span, "{}", span);
    }
}
