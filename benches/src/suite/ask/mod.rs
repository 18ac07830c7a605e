//! Questions that write nothing, against in-memory actors: callers on threads of their own, one actor on its own.
//!
//! All sides have one actor on one thread, and callers on a tokio runtime that has the other cores. A mailbox of
//! each side takes the questions of all callers. steadfast's node is in memory; a question never touches a disk
//! anyhow, unless the actor has just written.

mod sides;

use self::sides::{Actix, Kameo, Ractor, Side, Steadfast, Task};
use super::Target;
use crate::callers::{Answered, Caller, Period, closed_loop};
use crate::plot::{self, Chart, Series};
use crate::{Bound, Outcome, Row, Settings, Spread, figure};

pub(super) const TARGETS: &[Target] = &[(&["ask.vs_actix"], |settings| vec![vs_actix(settings)])];

const CALLERS: [usize; 3] = [1, 1_000, 10_000];
const OURS: [&str; 3] = ["query", "query, dirty_ok", "command that emits nothing"];
const OTHERS: [&str; 4] = ["actix", "ractor", "kameo", "tokio mpsc + oneshot"];

/// Questions and commands that write nothing, at 1 to 10,000 callers, against four others.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let period = if settings.quick {
        Period::millis(70, 230)
    } else {
        Period::millis(300, 1_500)
    };
    let runtime = sides::callers_runtime();
    let ours = Steadfast::start();
    let (actix, ractor) = (Actix::start(), Ractor::start());
    let (kameo, task) = (Kameo::start(), Task::start());
    let mut outcomes = Vec::new();
    let mut medians: [Vec<f64>; 7] = Default::default();
    for callers in CALLERS {
        let mut rates: [Vec<f64>; 7] = Default::default();
        for _ in 0..settings.runs {
            let of_this = [
                ask_all(&runtime, &ours, callers, period).rate,
                ask_all(&runtime, &ours.dirty(), callers, period).rate,
                ask_all(&runtime, &ours.command(), callers, period).rate,
                ask_all(&runtime, &actix, callers, period).rate,
                ask_all(&runtime, &ractor, callers, period).rate,
                ask_all(&runtime, &kameo, callers, period).rate,
                ask_all(&runtime, &task, callers, period).rate,
            ];
            for (all, one) in rates.iter_mut().zip(of_this) {
                all.push(one);
            }
        }
        for (medians, rates) in medians.iter_mut().zip(&rates) {
            medians.push(Spread::of(rates.iter().copied()).median);
        }
        let [query, dirty, command, others @ ..] = rates;
        for (name, other) in OTHERS.iter().zip(&others) {
            outcomes.push(row(
                &format!("query, {callers} callers"),
                name,
                &query,
                other,
            ));
        }
        for (variant, rates) in OURS[1..].iter().zip([&dirty, &command]) {
            let name = format!("{variant}, {callers} callers");
            outcomes.push(row(&name, "a query of the same run", rates, &query));
        }
    }
    plot(settings, medians);
    outcomes
}

/// Rates by callers; `medians` are in the order of what is measured.
fn plot(settings: &Settings, medians: [Vec<f64>; 7]) {
    let Some(dir) = &settings.plots else { return };
    let ours = OURS.map(|variant| format!("steadfast, {variant}"));
    let names = ours.into_iter().chain(OTHERS.map(str::to_owned));
    let series = names
        .zip(medians)
        .map(|(name, values)| Series { name, values });
    let title = "Questions answered by one actor in memory";
    let callers = |callers: usize| match callers {
        1 => "1 caller".to_owned(),
        many => format!("{many} callers"),
    };
    let categories = CALLERS.map(callers).to_vec();
    let chart = Chart::bars(title, "answers/s", categories, series.collect());
    plot::draw(&dir.join("ask.svg"), &[chart]);
}

fn vs_actix(settings: &Settings) -> Outcome {
    let period = if settings.quick {
        Period::millis(300, 1_500)
    } else {
        Period::millis(500, 3_000)
    };
    let runtime = sides::callers_runtime();
    let (ours, actix) = (Steadfast::start(), Actix::start());
    let (mut rates, mut others) = (Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        rates.push(ask_all(&runtime, &ours, 1_000, period).rate);
        others.push(ask_all(&runtime, &actix, 1_000, period).rate);
    }
    let mut outcome = row("", "actix, 1,000 callers across threads", &rates, &others);
    if let Outcome::Measured(row) = &mut outcome {
        "ask.vs_actix".clone_into(&mut row.name);
        row.bound = Some(Bound::AtLeast(1.0));
    }
    outcome
}

fn ask_all<S: Side>(
    runtime: &tokio::runtime::Runtime,
    side: &S,
    callers: usize,
    period: Period,
) -> Answered
where
    S::Caller: Caller,
{
    let callers = (0..callers).map(|_| side.caller()).collect();
    closed_loop(runtime, callers, period, false)
}

/// With one caller, a rate is the inverse of the round trip, which is told beside it.
fn row(name: &str, other: &str, rates: &[f64], others: &[f64]) -> Outcome {
    let ratios = rates.iter().zip(others).map(|(ours, other)| ours / other);
    let other_rate = Spread::of(others.iter().copied()).median;
    let value = Spread::of(rates.iter().copied());
    let trips = if name.ends_with(", 1 callers") {
        format!(
            " (round trip {} µs against {} µs)",
            figure(1e6 / value.median),
            figure(1e6 / other_rate)
        )
    } else {
        String::new()
    };
    Outcome::Measured(Row {
        name: name.replace(", 1 callers", ", 1 caller"),
        value,
        unit: "/s",
        against: format!("{other}: {}/s{trips}", figure(other_rate)),
        ratio: Some(Spread::of(ratios).median),
        bound: None,
    })
}
