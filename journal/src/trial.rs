//! What only tests switch on: points at which the process ends itself, and mistakes made on purpose.
//!
//! A file of its own because it must be easy to see that a release has none of it. Both are features of this crate that
//! nothing but the workspace's tests asks for; without them the macros expand to nothing and to `false`. With them a
//! program still has to arm one by a call: no library reads the environment.

#[cfg(feature = "failpoints")]
pub mod failpoints;
#[cfg(feature = "mutants")]
pub mod mutants;

/// A point at which a test may let the process end. The name is one of [`failpoints::ALL`], or it does not compile.
#[cfg(feature = "failpoints")]
#[doc(hidden)]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {{
        const NUMBER: usize = $crate::failpoints::number_of($name);
        $crate::failpoints::pass(NUMBER);
    }};
}

/// Nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
#[doc(hidden)]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
}

/// Whether this mistake is to be made. The name is one of [`mutants::ALL`], or it does not compile.
#[cfg(feature = "mutants")]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {{
        const NUMBER: usize = $crate::mutants::number_of($name);
        $crate::mutants::is_armed(NUMBER)
    }};
}

/// Never: the feature `mutants` is off.
#[cfg(not(feature = "mutants"))]
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}

/// The place of a name in a list, from 1, while compiling.
#[cfg(any(feature = "failpoints", feature = "mutants"))]
const fn place_of(name: &str, list: &[&str]) -> Option<usize> {
    let (mut left, mut place) = (list, 1);
    while let [first, rest @ ..] = left {
        if is_same(first.as_bytes(), name.as_bytes()) {
            return Some(place);
        }
        left = rest;
        place += 1;
    }
    None
}

#[cfg(any(feature = "failpoints", feature = "mutants"))]
const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, others);
    }
    one.is_empty() && other.is_empty()
}

#[cfg(all(test, any(feature = "failpoints", feature = "mutants")))]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole_or_not_at_all() {
        let list = ["one", "one.more", "two"];
        let places = ["one", "one.more", "two", "on", "one.", "", "three"];
        let places = places.map(|name| place_of(name, &list));
        assert_eq!(places, [Some(1), Some(2), Some(3), None, None, None, None]);
    }
}
