//! Messages between actors, as their sender sees them come back.

use serde::{Deserialize, Serialize};
use steadfast_journal::ActorId;

use super::{Command, Handle, Live, Never, StatefulActor};

/// A command that was sent with [`Live::send`] and rejected by its receiver. It comes back to its sender
/// exactly once, and is named as the command.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # use steadfast::{ActorId, Returned, testkit::given};
/// // `Account` takes a deposit back that the other account refused.
/// let returned = Returned {
///     to: ActorId::new("account", "bob").unwrap(),
///     command: Deposit { cents: 30 },
///     rejection: TooMuch,
/// };
/// given::<Account>([])
///     .when_returned(returned)
///     .then_events([AccountEvent::Deposited { cents: 30 }]);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Returned<C: Command> {
    /// The actor that rejected it.
    pub to: ActorId,
    /// The command itself, as it was sent.
    pub command: C,
    /// Why it was rejected.
    pub rejection: C::Rejection,
}

impl<C: Command> Command for Returned<C> {
    const NAME: &'static str = C::NAME;
    type Reply = ();
    type Rejection = Never;
}

/// A command that cannot be rejected never comes back: nobody has to say what to do then.
impl<A: StatefulActor, C: Command<Rejection = Never>> Handle<Returned<C>> for A {
    fn handle(_: &mut Live<'_, Self>, returned: Returned<C>) -> Result<(), Never> {
        match returned.rejection {}
    }
}
