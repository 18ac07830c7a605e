//! The kit itself: it passes what is right, and catches actors that break each law on purpose.
