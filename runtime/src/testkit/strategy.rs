//! Sequences for property tests, as the crate `proptest` draws and shrinks them.

use std::time::Duration;

use proptest::collection::{SizeRange, vec};
use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_oneof};

use super::sequence::{Sequence, Step};
use steadfast_journal::CommitFault;

/// Draws sequences: most steps do what `acts` draws, the others let time pass, crash, restart and
/// passivate. They shrink to fewer steps, and their acts and waits to smaller ones.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};
/// # #[derive(Event)]
/// # enum TallyEvent { Added { by: u64 } }
/// # #[derive(Serialize, Deserialize)]
/// # struct Tally { sum: u64 }
/// # impl StatefulActor for Tally {
/// #     const KIND: &'static str = "tally";
/// #     type Event = TallyEvent;
/// #     fn new(_: &ActorId) -> Self { Self { sum: 0 } }
/// #     fn apply(&mut self, event: &TallyEvent) { let TallyEvent::Added { by } = event; self.sum += by }
/// # }
/// # #[derive(Serialize, Deserialize, Command)]
/// # #[command(reply = u64)]
/// # struct Add(u64);
/// # impl Handle<Add> for Tally {
/// #     fn handle(tally: &mut Live<'_, Self>, Add(by): Add) -> Result<u64, Never> {
/// #         tally.emit(TallyEvent::Added { by });
/// #         Ok(tally.sum)
/// #     }
/// # }
/// use proptest::test_runner::TestRunner;
/// use steadfast::testkit::sequences;
///
/// // In a test: proptest! { #[test] fn sums_up(sequence in sequences(0..100_u64, 1..10)) { .. } }
/// let mut runner = TestRunner::new(proptest::test_runner::Config::with_cases(5));
/// runner.run(&sequences(0..100_u64, 1..10), |sequence| {
///     let mut model = 0;
///     sequence.play(
///         |node| node.register::<Tally>(|kind| kind),
///         async |node, by, key| {
///             let sum = node.actor::<Tally>("a").ask(Add(*by)).key(key).await?;
///             model += by;
///             assert_eq!(sum, model);
///             Ok(())
///         },
///     );
///     Ok(())
/// }).unwrap();
/// ```
pub fn sequences<S>(
    acts: S,
    length: impl Into<SizeRange>,
) -> impl Strategy<Value = Sequence<S::Value>>
where
    S: Strategy + 'static,
    S::Value: Clone + 'static,
{
    vec(steps(acts), length).prop_map(Sequence::new)
}

fn steps<S>(acts: S) -> BoxedStrategy<Step<S::Value>>
where
    S: Strategy + 'static,
    S::Value: Clone + 'static,
{
    let waits = prop_oneof![0..1_000_u64, 0..100_000_000_u64];
    let fates = prop_oneof![Just(CommitFault::Lost), Just(CommitFault::Kept)];
    let steps = prop_oneof![
        12 => acts.prop_map(Step::Do),
        3 => waits.prop_map(|millis| Step::Advance(Duration::from_millis(millis))),
        2 => (1..5_u64, fates).prop_map(|(writes, fate)| Step::CrashAfter { writes, fate }),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
        1 => Just(Step::Passivate),
    ];
    steps.boxed()
}
