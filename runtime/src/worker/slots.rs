//! All slots of a worker: found by the actor's name, or by a key that stays as long as the slot does.
//!
//! Slots live in chunks of a fixed size, so that growing neither moves them nor doubles what they take. The
//! table of names holds keys alone; the names stand in the slots.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use steadfast_journal::ActorId;

use super::slot::Slot;

/// Slots in one chunk.
const CHUNK: usize = 512;

/// A place for a slot.
enum Place {
    Taken(Slot),
    /// The free place that was free before this one, if there was one.
    Free(Option<usize>),
}

/// An entry of the table: a part of the name's hash, and the slot's key. Half the size of both in full; a worker
/// with 2^32 actors would need more memory than there is.
#[derive(Clone, Copy)]
struct Named {
    hash: u32,
    key: u32,
}

impl Named {
    fn key(self) -> usize {
        usize::try_from(self.key).unwrap_or(usize::MAX)
    }
}

/// Spreads the part of a hash that is kept over the 64 bits that the table looks at.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The slots.
#[derive(Default)]
pub(super) struct Slots {
    chunks: Vec<Vec<Place>>,
    free: Option<usize>,
    len: usize,
    names: HashTable<Named>,
    hasher: RandomState,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: usize) -> Option<&Slot> {
        match self.chunks.get(key / CHUNK)?.get(key % CHUNK)? {
            Place::Taken(slot) => Some(slot),
            Place::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut Slot> {
        match self.place_mut(key)? {
            Place::Taken(slot) => Some(slot),
            Place::Free(_) => None,
        }
    }

    fn place_mut(&mut self, key: usize) -> Option<&mut Place> {
        self.chunks.get_mut(key / CHUNK)?.get_mut(key % CHUNK)
    }

    fn hash(&self, actor: &ActorId) -> u32 {
        let hash = self.hasher.hash_one(actor.as_str());
        u32::try_from(hash >> 32).unwrap_or_default()
    }

    /// The key of an actor's slot.
    pub(super) fn find(&self, actor: &ActorId) -> Option<usize> {
        let hash = self.hash(actor);
        let same = |named: &Named| {
            named.hash == hash && self.get(named.key()).is_some_and(|slot| slot.id == *actor)
        };
        self.names.find(spread(hash), same).map(|named| named.key())
    }

    /// Takes in a slot of an actor that has none.
    pub(super) fn insert(&mut self, slot: Slot) -> usize {
        let hash = self.hash(&slot.id);
        let key = self.put(slot);
        let named = Named {
            hash,
            key: u32::try_from(key).unwrap_or(u32::MAX),
        };
        self.names
            .insert_unique(spread(hash), named, |named| spread(named.hash));
        self.len += 1;
        key
    }

    fn put(&mut self, slot: Slot) -> usize {
        if let Some(key) = self.free
            && let Some(place) = self.place_mut(key)
            && let Place::Free(next) = *place
        {
            *place = Place::Taken(slot);
            self.free = next;
            return key;
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = self.chunks.len().saturating_sub(1) * CHUNK;
        match self.chunks.last_mut() {
            Some(last) => {
                last.push(Place::Taken(slot));
                before + last.len() - 1
            }
            None => before,
        }
    }

    pub(super) fn try_remove(&mut self, key: usize) -> Option<Slot> {
        let next = self.free;
        let place = self.place_mut(key)?;
        if !matches!(place, Place::Taken(_)) {
            return None;
        }
        let Place::Taken(slot) = std::mem::replace(place, Place::Free(next)) else {
            return None;
        };
        self.free = Some(key);
        self.len -= 1;
        let hash = self.hash(&slot.id);
        let same = |named: &Named| named.hash == hash && named.key() == key;
        if let Ok(entry) = self.names.find_entry(spread(hash), same) {
            entry.remove();
        }
        Some(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let all = self.chunks.iter().flatten().enumerate();
        all.filter_map(|(key, place)| match place {
            Place::Taken(slot) => Some((key, slot)),
            Place::Free(_) => None,
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Slot)> {
        let all = self.chunks.iter_mut().flatten().enumerate();
        all.filter_map(|(key, place)| match place {
            Place::Taken(slot) => Some((key, slot)),
            Place::Free(_) => None,
        })
    }
}
