//! Threads that commits do not wait for leave the cores to those that they do wait for.

/// Steps of niceness: a tenth of the weight of a thread that did not stand back. Not all of it, because commits
/// wait for the index where it is far behind.
#[cfg(target_os = "linux")]
const STEPS: i32 = 10;

/// Lowers the priority of this thread. Elsewhere than on Linux niceness belongs to the whole process, and nothing
/// happens.
pub(crate) fn stand_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_stands_back_and_no_other() {
        let niceness = || rustix::process::nice(0).unwrap();
        let before = niceness();
        let behind = std::thread::Builder::new()
            .name("behind".to_owned())
            .spawn(move || {
                stand_back();
                niceness()
            })
            .unwrap();
        assert_eq!(behind.join().unwrap(), (before + STEPS).min(19));
        assert_eq!(niceness(), before);
    }
}
