//! A short list that is copied with its state: a model has many states, and each has many lists.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// At most `N` things, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct List<T, const N: usize> {
    /// Those past the length are always the default, so that equal lists are equal.
    things: [T; N],
    length: u8,
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self {
            things: [T::default(); N],
            length: 0,
        }
    }
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    #[track_caller]
    pub(super) fn push(&mut self, thing: T) {
        self.things[usize::from(self.length)] = thing;
        self.length += 1;
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.first().copied()?;
        self.drop_front(1);
        Some(first)
    }

    pub(super) fn drop_front(&mut self, count: usize) {
        let rest: Self = self[count..].iter().copied().collect();
        *self = rest;
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        *self = self.iter().copied().filter(keep).collect();
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl<T: Copy + Default, const N: usize> FromIterator<T> for List<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        let mut list = Self::default();
        for thing in things {
            list.push(thing);
        }
        list
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.things[..usize::from(self.length)]
    }
}

impl<T, const N: usize> DerefMut for List<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.things[..usize::from(self.length)]
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
