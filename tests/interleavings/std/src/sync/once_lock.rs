//! A cell that is written once.

use std::fmt;

/// As `std::sync::OnceLock`.
pub struct OnceLock<T> {
    /// Taken for each use, so that its order is explored.
    order: loom::sync::Mutex<()>,
    cell: std::sync::OnceLock<T>,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.fmt(f)
    }
}

impl<T> OnceLock<T> {
    /// As there.
    #[must_use]
    pub fn new() -> Self {
        Self {
            order: loom::sync::Mutex::new(()),
            cell: std::sync::OnceLock::new(),
        }
    }

    /// As there.
    pub fn get(&self) -> Option<&T> {
        let _order = self.order.lock();
        self.cell.get()
    }

    /// As there.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let _order = self.order.lock();
        self.cell.get_or_init(make)
    }
}
