//! The actor under load: each command is one event of the size that was asked for.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};

/// Bytes that do not compress, so that no store is flattered.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..16_384)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()
        })
        .collect()
});

/// `bytes` of noise, which begins elsewhere for each `turn`.
fn noise(turn: u64, bytes: usize) -> Vec<u8> {
    let start = usize::try_from(turn.wrapping_mul(61) % 8_192).unwrap_or(0);
    NOISE
        .iter()
        .skip(start)
        .cycle()
        .take(bytes)
        .copied()
        .collect()
}

/// Counts, and carries a ballast that makes its state as large as wanted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    count: u64,
    ballast: ByteBuf,
}

/// What happens to [`Notes`].
#[derive(Debug, Event)]
pub enum NotesEvent {
    /// It was told something.
    Noted {
        /// What.
        body: ByteBuf,
    },
    /// Its state is this large from now on.
    Loaded {
        /// The size.
        bytes: u64,
    },
}

/// One event of `bytes`, as it is encoded. Answers how many there were.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub struct Note {
    /// Size of the encoded event.
    pub bytes: u32,
}

/// Makes the state as large as this.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub struct Load {
    /// The size.
    pub bytes: u64,
}

/// How many there were; writes nothing.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub struct Noted;

/// The body that makes an encoded [`NotesEvent::Noted`] take `bytes`: one byte for the map, five for the
/// field's name, the rest for the body's own head.
fn body_bytes(bytes: usize) -> usize {
    let head = match bytes {
        0..=263 => 8,
        264..=65_544 => 9,
        _ => 11,
    };
    bytes.saturating_sub(head)
}

impl StatefulActor for Notes {
    const KIND: &'static str = "notes";
    type Event = NotesEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &NotesEvent) {
        match event {
            NotesEvent::Noted { body } => {
                self.count += 1;
                if let (Some(into), Some(from)) = (self.ballast.first_mut(), body.first()) {
                    *into = *from;
                }
            }
            NotesEvent::Loaded { bytes } => {
                let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
                self.ballast = ByteBuf::from(noise(self.count, bytes));
            }
        }
    }
}

impl Handle<Note> for Notes {
    fn handle(notes: &mut Live<'_, Self>, note: Note) -> Result<u64, Never> {
        let bytes = body_bytes(usize::try_from(note.bytes).unwrap_or(usize::MAX));
        let start = usize::try_from(notes.count.wrapping_mul(61) % 8_192).unwrap_or(0);
        let body = NOISE
            .get(start..start + bytes)
            .map_or_else(|| noise(notes.count, bytes), <[u8]>::to_vec);
        notes.emit(NotesEvent::Noted {
            body: ByteBuf::from(body),
        });
        Ok(notes.count)
    }
}

impl Handle<Load> for Notes {
    fn handle(notes: &mut Live<'_, Self>, load: Load) -> Result<u64, Never> {
        notes.emit(NotesEvent::Loaded { bytes: load.bytes });
        Ok(notes.count)
    }
}

impl Handle<Noted> for Notes {
    fn handle(notes: &mut Live<'_, Self>, _: Noted) -> Result<u64, Never> {
        Ok(notes.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_the_bytes_that_were_asked_for() {
        for bytes in [64, 128, 263, 264, 265, 1_024, 8_192, 100_000] {
            let body = ByteBuf::from(noise(3, body_bytes(bytes)));
            let encoded = NotesEvent::Noted { body }.encode().expect("it is encoded");
            let off = encoded.len().abs_diff(bytes);
            assert!(off <= 1, "{} instead of {bytes}", encoded.len());
        }
    }
}
