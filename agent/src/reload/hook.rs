//! What a service manager is told about a reload: called at its start and at its end, whatever came of it.

/// A reload begins.
pub(super) fn started() {
    tracing::debug!("reloading");
}

/// A reload has ended; the node serves as before it or by the new configuration.
pub(super) fn ended() {
    tracing::debug!("reloading has ended");
}
