//! What a measurement says: a value, what it is held against, their ratio, and the spread of the runs.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Spread;

/// How to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// At most a minute for each subject.
    pub quick: bool,
    /// Runs of each measurement; the median counts.
    pub runs: usize,
    /// Where to measure.
    pub dir: PathBuf,
    /// Only the targets whose names contain this.
    pub only: Option<String>,
    /// Hours that a soak lasts.
    pub hours: f64,
    /// GB on the disk for `scale`, which then measures nothing else.
    pub gb: Option<u64>,
    /// Where plots go; none are made without it.
    pub plots: Option<PathBuf>,
}

impl Settings {
    /// A fresh directory on the measured disk.
    ///
    /// # Panics
    /// Where none can be made.
    #[must_use]
    pub fn fresh_dir(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(&self.dir)
            .unwrap_or_else(|error| panic!("no directory in {}: {error}", self.dir.display()))
    }
}

/// What a target asks of the ratio, or of the value where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Bound {
    /// Whether `figure` keeps it.
    #[must_use]
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
        }
    }
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured; stable.
    pub name: String,
    /// The median of the runs, with the least and the greatest, in `unit`.
    pub value: Spread,
    /// Its unit.
    pub unit: &'static str,
    /// What it is held against, with that figure's median of the same run.
    pub against: String,
    /// Value ÷ what it is held against: the median of the ratios run by run.
    pub ratio: Option<f64>,
    /// For a target: what it asks of the ratio, or of the value where there is no ratio.
    pub bound: Option<Bound>,
}

/// A figure, or why there is none.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was measured.
    Measured(Row),
    /// It was not.
    Skipped {
        /// What was to be measured.
        name: String,
        /// Why not, and what would change that.
        why: String,
    },
}

impl Outcome {
    /// What was to be measured.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Measured(row) => &row.name,
            Self::Skipped { name, .. } => name,
        }
    }

    /// Whether it was measured and misses its bound.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        let Self::Measured(row) = self else {
            return false;
        };
        row.bound.is_some_and(|bound| !bound.holds(row.judged()))
    }

    /// Which targets were met, which were missed and by how much, and which were skipped; a line for each kind.
    #[must_use]
    pub fn summary(outcomes: &[Self]) -> String {
        let (mut met, mut missed, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Self::Measured(row) => match row.bound {
                    Some(bound) if bound.holds(row.judged()) => met.push(row.name.clone()),
                    Some(bound) => missed.push(row.miss(bound)),
                    None => {}
                },
                Self::Skipped { name, .. } => skipped.push(name.clone()),
            }
        }
        let line = |kind: &str, of: &[String]| match of {
            [] => format!("{kind}: none\n"),
            of => format!("{kind} ({}): {}\n", of.len(), of.join(", ")),
        };
        let kinds = [("Met", met), ("Missed", missed), ("Skipped", skipped)];
        let lines: Vec<_> = kinds.iter().map(|(kind, of)| line(kind, of)).collect();
        lines.join("\n")
    }

    /// All of them as a table in Markdown.
    #[must_use]
    pub fn table(outcomes: &[Self]) -> String {
        let mut table = String::from(
            "| what | value (least to greatest) | unit | against | ratio | target |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for outcome in outcomes {
            let line = match outcome {
                Self::Measured(row) => row.line(),
                Self::Skipped { name, why } => format!("| {name} | skipped: {why} | | | | |"),
            };
            table.push_str(&line);
            table.push('\n');
        }
        table
    }

    /// All of them as an array in JSON.
    #[must_use]
    pub fn json(outcomes: &[Self]) -> Value {
        let one = |outcome: &Self| match outcome {
            Self::Measured(row) => json!({
                "name": row.name, "value": row.value.median, "unit": row.unit,
                "against": row.against, "ratio": row.ratio,
                "spread": [row.value.least, row.value.greatest],
            }),
            Self::Skipped { name, why } => json!({ "name": name, "skipped": why }),
        };
        outcomes.iter().map(one).collect()
    }
}

impl Row {
    /// What a bound is asked of.
    fn judged(&self) -> f64 {
        self.ratio.unwrap_or(self.value.median)
    }

    /// Its name, and how far it is from `bound`.
    fn miss(&self, bound: Bound) -> String {
        let judged = self.judged();
        let off = match bound {
            Bound::AtLeast(limit) => 1.0 - judged / limit,
            Bound::AtMost(limit) => judged / limit - 1.0,
        };
        let unit = if self.ratio.is_some() {
            "×"
        } else {
            self.unit
        };
        format!(
            "{} by {:.0} % ({} {unit}, asked for {} {unit})",
            self.name,
            off * 100.0,
            figure(judged),
            bound.text(),
        )
    }

    fn line(&self) -> String {
        let figures = [self.value.median, self.value.least, self.value.greatest].map(figure);
        let ratio = self.ratio.map_or_else(String::new, figure);
        let target = self.bound.map_or_else(String::new, |bound| {
            let met = bound.holds(self.judged());
            format!(
                "{} {}",
                bound.text(),
                if met { "met" } else { "**missed**" }
            )
        });
        format!(
            "| {} | {} ({} to {}) | {} | {} | {ratio} | {target} |",
            self.name, figures[0], figures[1], figures[2], self.unit, self.against
        )
    }
}

/// A number with as many digits as mean something.
#[must_use]
pub fn figure(value: f64) -> String {
    if value.abs() >= 100.0 {
        let whole = format!("{value:.0}");
        let digits: Vec<char> = whole.chars().rev().collect();
        let groups: Vec<String> = digits
            .chunks(3)
            .map(|group| group.iter().collect())
            .collect();
        groups
            .join(",")
            .chars()
            .rev()
            .collect::<String>()
            .replace("-,", "-")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!(figure(1_234_567.4), "1,234,567");
        assert_eq!(figure(-123_456.0), "-123,456");
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(figure(0.678), "0.68");
    }

    #[test]
    fn a_missed_target_says_so() {
        let row = Row {
            name: "a".to_owned(),
            value: Spread::of([1.0]),
            unit: "/s",
            against: "b".to_owned(),
            ratio: Some(0.5),
            bound: Some(Bound::AtLeast(0.6)),
        };
        let table = Outcome::table(&[Outcome::Measured(row)]);
        assert!(table.contains("**missed**"), "{table}");
    }

    #[test]
    fn a_summary_says_by_how_much_a_target_was_missed() {
        let row = |name: &str, ratio, bound| {
            Outcome::Measured(Row {
                name: name.to_owned(),
                value: Spread::of([300.0]),
                unit: "ms",
                against: String::new(),
                ratio,
                bound: Some(bound),
            })
        };
        let skipped = Outcome::Skipped {
            name: "d".to_owned(),
            why: "not there".to_owned(),
        };
        let summary = Outcome::summary(&[
            row("a", Some(0.7), Bound::AtLeast(0.6)),
            row("b", Some(0.5), Bound::AtLeast(1.0)),
            row("c", None, Bound::AtMost(200.0)),
            skipped,
        ]);
        let expected = "Met (1): a\n\nMissed (2): b by 50 % (0.50 ×, asked for ≥ 1 ×), c by 50 % (300 ms, asked for ≤ 200 ms)\n\nSkipped (1): d\n";
        assert_eq!(summary, expected);
    }
}
