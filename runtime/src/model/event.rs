//! Events: facts in the past tense, and how they are kept.

/// Something that happened to an actor. Derive it on an enum:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::Event;
/// # #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// # struct Withdrawn { cents: u64 }
/// # #[derive(Serialize, Deserialize)]
/// # struct WithdrawnV1 { euros: u64 }
/// # impl From<WithdrawnV1> for Withdrawn {
/// #     fn from(old: WithdrawnV1) -> Self { Self { cents: old.euros * 100 } }
/// # }
/// # #[derive(Debug, PartialEq)]
/// #[derive(Event)]
/// #[event(prefix = "account.")]
/// enum AccountEvent {
///     Opened,                                            // "account.opened", version 1
///     Deposited { amount: u64 },                         // fields are stored by name
///     #[event(name = "account.withdrawn", version = 2, from(1 = WithdrawnV1))]
///     Withdrawn(Withdrawn),                              // `WithdrawnV1: Into<Withdrawn>`
/// }
///
/// assert_eq!(AccountEvent::Opened.name(), "account.opened");
/// let old = AccountEvent::decode("account.withdrawn", 1, b"\x81\xa5euros\x03");
/// assert_eq!(old.unwrap(), AccountEvent::Withdrawn(Withdrawn { cents: 300 }));
/// ```
///
/// An event is found again by name and version. One that is not known is never skipped: its actor is
/// quarantined until a program that knows it is started.
pub trait Event: Sized + Send + 'static {
    /// Stable name of this event.
    fn name(&self) -> &'static str;

    /// Version of its shape, from 1.
    fn version(&self) -> u32;

    /// Its bytes at rest: MessagePack with field names, so that fields can be added later.
    ///
    /// # Errors
    /// [`EventError::Encode`].
    fn encode(&self) -> Result<Vec<u8>, EventError>;

    /// What people and scripts are shown: the fields as JSON, times as RFC 3339.
    ///
    /// # Errors
    /// A field that JSON cannot express, such as a map with keys that are no text.
    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error>;

    /// Reads any version that was ever released.
    ///
    /// # Errors
    /// [`EventError::Unknown`] for a name or version that is not known, [`EventError::Decode`] for bytes that do
    /// not fit.
    fn decode(name: &str, version: u32, data: &[u8]) -> Result<Self, EventError>;
}

/// Why an event cannot be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// No such event, or no such version of it.
    #[error("event {name:?} version {version} is not known to this program: start a newer one")]
    Unknown {
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
    },
    /// It could not be encoded.
    #[error("event {name:?} could not be encoded")]
    Encode {
        /// Its name.
        name: &'static str,
        /// The encoder's error.
        #[source]
        source: rmp_serde::encode::Error,
    },
    /// The bytes do not fit its shape.
    #[error("event {name:?} version {version} does not decode")]
    Decode {
        /// Its name.
        name: String,
        /// Its version.
        version: u32,
        /// The decoder's error.
        #[source]
        source: rmp_serde::decode::Error,
    },
}
