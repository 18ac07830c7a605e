//! Plots as SVG: bars by category, lines over an axis; several charts make one picture.

mod bars;
mod lines;

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

/// Figures with a name.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// One figure for each category.
    pub values: Vec<f64>,
}

/// Points with a name.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// The points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// How far apart numbers are on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As far as their difference.
    Linear,
    /// As far as their ratio.
    Logarithmic,
}

/// What runs across a chart.
#[derive(Debug, Clone)]
enum Shape {
    Bars {
        categories: Vec<String>,
        series: Vec<Series>,
    },
    Lines {
        across: String,
        scale: Scale,
        lines: Vec<Line>,
    },
}

/// One chart.
#[derive(Debug, Clone)]
pub struct Chart {
    title: String,
    /// What goes up, with its unit.
    up: String,
    shape: Shape,
}

impl Chart {
    /// Groups of bars, one group for each category. A category's name breaks at its commas.
    #[must_use]
    pub fn bars(title: &str, up: &str, categories: Vec<String>, series: Vec<Series>) -> Self {
        Self {
            title: title.to_owned(),
            up: up.to_owned(),
            shape: Shape::Bars { categories, series },
        }
    }

    /// Lines over an axis, which is named with its unit, as is what goes up.
    #[must_use]
    pub fn lines(title: &str, (across, scale): (&str, Scale), up: &str, lines: Vec<Line>) -> Self {
        Self {
            title: title.to_owned(),
            up: up.to_owned(),
            shape: Shape::Lines {
                across: across.to_owned(),
                scale,
                lines,
            },
        }
    }

    /// Whether it shows anything.
    fn has_figures(&self) -> bool {
        match &self.shape {
            Shape::Bars { series, .. } => {
                let mut values = series.iter().flat_map(|series| &series.values);
                values.any(|value| *value > 0.0)
            }
            Shape::Lines { lines, .. } => lines.iter().any(|line| !line.points.is_empty()),
        }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pixels of one chart.
const SIZE: (u32, u32) = (860, 440);

/// Draws all charts into one picture, one below the other; those without figures are left out.
///
/// # Panics
/// Where the file cannot be written.
pub fn draw(path: &Path, charts: &[Chart]) {
    let shown: Vec<&Chart> = charts.iter().filter(|chart| chart.has_figures()).collect();
    let Ok(count @ 1..) = u32::try_from(shown.len()) else {
        return;
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .unwrap_or_else(|error| panic!("no directory {}: {error}", parent.display()));
    }
    let root = SVGBackend::new(path, (SIZE.0, SIZE.1 * count)).into_drawing_area();
    root.fill(&WHITE).expect("a plot is drawn");
    for (area, chart) in root.split_evenly((shown.len(), 1)).iter().zip(shown) {
        match &chart.shape {
            Shape::Bars { categories, series } => bars::draw(area, chart, categories, series),
            Shape::Lines {
                across,
                scale,
                lines,
            } => lines::draw(area, chart, (across, *scale), lines),
        }
    }
    root.present()
        .unwrap_or_else(|error| panic!("{} is not written: {error}", path.display()));
}

/// Told apart in grey and by most who do not see all colours.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 90, 160),
    RGBColor(230, 150, 0),
    RGBColor(0, 150, 110),
    RGBColor(200, 90, 150),
    RGBColor(90, 90, 90),
    RGBColor(90, 180, 230),
    RGBColor(210, 80, 0),
];

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// Room above the highest figure, where the legend is.
fn headroom(entries: usize) -> f64 {
    let entries = f64::from(u32::try_from(entries).unwrap_or(0));
    1.1 + if entries > 1.0 { 0.075 * entries } else { 0.0 }
}

/// A number on an axis or a bar: as short as it can be.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 10.0 && !unit.is_empty() => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

fn legend<'a, C: CoordTranslate>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>) {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(160, 160, 160))
        .label_font(("sans-serif", 14))
        .draw()
        .expect("a plot is drawn");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_show_their_figures() {
        let dir = tempfile::tempdir().expect("a directory");
        let series = |name: &str| Series {
            name: name.to_owned(),
            values: vec![1_234.0, 10.0],
        };
        let categories = vec!["few".to_owned(), "many, warm".to_owned()];
        let both = vec![series("ours"), series("theirs")];
        let line = |name: &str| Line {
            name: name.to_owned(),
            points: vec![(1.0, 5.0), (10.0, 7.0)],
        };
        let path = dir.path().join("plots/both.svg");
        let lines = |scale, lines| Chart::lines("Lines", ("callers", scale), "ms", lines);
        draw(
            &path,
            &[
                Chart::bars("Bars", "ms", categories, both),
                Chart::bars("Nothing", "ms", vec!["few".to_owned()], Vec::new()),
                lines(Scale::Linear, vec![line("one")]),
                lines(Scale::Logarithmic, vec![line("first"), line("second")]),
            ],
        );
        let text = std::fs::read_to_string(&path).expect("it is written");
        for shown in [
            "Bars", "ours", "1234", "many", "warm", "second", "callers", "polyline", "</svg>",
        ] {
            assert!(text.contains(shown), "{shown} is missing");
        }
        assert!(!text.contains("Nothing"));
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.25, 12.5, 1_234.0, 495_071.0, 1_449_852.0, 2e9].map(short);
        assert_eq!(
            shown,
            ["0", "0.25", "12.5", "1234", "495 k", "1.45 M", "2 G"]
        );
    }
}
