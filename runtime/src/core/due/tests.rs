//! Policies over due times that passed.
