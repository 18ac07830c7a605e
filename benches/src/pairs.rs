//! Two figures of each run, measured one right after the other: ours, and what it is held against.

use crate::{Bound, Outcome, Row, Spread, figure};

/// Figures of several runs, pair by pair.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Pairs {
    /// Adds those of one run.
    pub fn push(&mut self, ours: f64, theirs: f64) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }

    /// Ours ÷ theirs: the median of the ratios run by run.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        Spread::of(self.each(|ours, theirs| ours / theirs)).median
    }

    /// Ours - theirs, run by run.
    #[must_use]
    pub fn difference(&self) -> Spread {
        Spread::of(self.each(|ours, theirs| ours - theirs))
    }

    fn each<'a>(&'a self, of: impl Fn(f64, f64) -> f64 + 'a) -> impl Iterator<Item = f64> + 'a {
        self.ours
            .iter()
            .zip(&self.theirs)
            .map(move |(ours, theirs)| of(*ours, *theirs))
    }

    /// Ours.
    #[must_use]
    pub fn ours(&self) -> Spread {
        Spread::of(self.ours.iter().copied())
    }

    /// Theirs.
    #[must_use]
    pub fn theirs(&self) -> Spread {
        Spread::of(self.theirs.iter().copied())
    }

    /// Ours as a row, against theirs: `against` says what it is, the figure is added.
    #[must_use]
    pub fn row(
        &self,
        name: impl Into<String>,
        unit: &'static str,
        against: &str,
        bound: Option<Bound>,
    ) -> Outcome {
        Outcome::Measured(Row {
            name: name.into(),
            value: self.ours(),
            unit,
            against: format!("{against}: {} {unit}", figure(self.theirs().median)),
            ratio: Some(self.ratio()),
            bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians() {
        let mut pairs = Pairs::default();
        pairs.push(1.0, 1.0);
        pairs.push(9.0, 3.0);
        pairs.push(10.0, 5.0);
        assert!((pairs.ratio() - 2.0).abs() < 1e-9);
        assert!((pairs.difference().median - 5.0).abs() < 1e-9);
        let Outcome::Measured(row) = pairs.row("a", "ms", "b", None) else {
            panic!("it was measured");
        };
        assert_eq!(row.against, "b: 3.00 ms");
    }
}
