//! Expressions and time zones.
