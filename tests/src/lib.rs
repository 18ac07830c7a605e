//! steadfast-tests
