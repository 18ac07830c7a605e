//! Commands: requests that an actor may reject.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A request to an actor, with its typed reply and rejection. Derive it:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::Command;
/// # type Cents = u64;
/// # #[derive(Serialize, Deserialize)]
/// # struct Overdrawn;
/// #[derive(Serialize, Deserialize, Command)]
/// #[command(name = "withdraw", reply = Cents, rejection = Overdrawn)]
/// struct Withdraw { amount: Cents }
///
/// assert_eq!(Withdraw::NAME, "withdraw");
/// ```
pub trait Command: Serialize + DeserializeOwned + Send + 'static {
    /// Stable name, as it is journalled.
    const NAME: &'static str;

    /// What a successful command answers.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    /// Why it may be refused; [`Never`] where it cannot be.
    type Rejection: Serialize + DeserializeOwned + Send + 'static;
}

/// The rejection of a command that cannot be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}
