//! steadfast-benches
