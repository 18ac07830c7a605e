//! Plots as SVG: bars by category, lines over a logarithmic axis.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figure;

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

const SIZE: (u32, u32) = (900, 480);
/// Told apart in grey and by most who do not see all colours.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(230, 150, 0),
    RGBColor(0, 150, 110),
    RGBColor(200, 90, 150),
    RGBColor(90, 90, 90),
    RGBColor(90, 180, 230),
];

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn canvas(path: &Path) -> Area<'_> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .unwrap_or_else(|error| panic!("no directory {}: {error}", parent.display()));
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).expect("a plot is drawn");
    root
}

/// Groups of bars, one group for each category.
///
/// # Panics
/// Where the file cannot be written.
pub fn bars(path: &Path, title: &str, unit: &str, categories: &[String], series: &[Series]) {
    let top = series
        .iter()
        .flat_map(|series| &series.values)
        .fold(0.0, |top: f64, value| top.max(*value));
    if categories.is_empty() || top <= 0.0 {
        return;
    }
    let root = canvas(path);
    let right = f64::from(u32::try_from(categories.len()).unwrap_or(u32::MAX));
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..right, 0.0..top * 1.15)
        .expect("a plot is drawn");
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc(unit)
        .y_label_formatter(&|value| figure(*value))
        .light_line_style(WHITE)
        .draw()
        .expect("a plot is drawn");
    let width = 0.8 / f64::from(u32::try_from(series.len().max(1)).unwrap_or(u32::MAX));
    for (index, series) in series.iter().enumerate() {
        let colour = colour(index);
        let offset = 0.1 + width * f64::from(u32::try_from(index).unwrap_or(0));
        let bar = |(category, value): (u32, &f64)| {
            let left = f64::from(category) + offset;
            Rectangle::new(
                [(left, 0.0), (left + width * 0.92, *value)],
                colour.filled(),
            )
        };
        chart
            .draw_series((0..).zip(&series.values).map(bar))
            .expect("a plot is drawn")
            .label(series.name.clone())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        let number = |(category, value): (u32, &f64)| {
            let at = (f64::from(category) + offset, *value + top * 0.03);
            Text::new(figure(*value), at, ("sans-serif", 11))
        };
        chart
            .draw_series((0..).zip(&series.values).map(number))
            .expect("a plot is drawn");
    }
    chart
        .draw_series(
            (0..)
                .zip(categories)
                .map(|(category, name): (u32, &String)| {
                    let at = (f64::from(category) + 0.35, -top * 0.02);
                    Text::new(name.clone(), at, ("sans-serif", 14))
                }),
        )
        .expect("a plot is drawn");
    legend(&mut chart);
    root.present()
        .unwrap_or_else(|error| panic!("{} is not written: {error}", path.display()));
}

/// Lines over a logarithmic x axis.
///
/// # Panics
/// Where the file cannot be written.
pub fn lines(path: &Path, title: &str, x: &str, y: &str, lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let top = points().fold(0.0, |top: f64, (_, y)| top.max(*y));
    let left = points().fold(f64::MAX, |left: f64, (x, _)| left.min(*x));
    let right = points().fold(0.0, |right: f64, (x, _)| right.max(*x));
    if top <= 0.0 || left <= 0.0 || left > right {
        return;
    }
    let root = canvas(path);
    let across: Range<f64> = left * 0.9..right * 1.1;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(84)
        .build_cartesian_2d(across.log_scale(), 0.0..top * 1.15)
        .expect("a plot is drawn");
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| figure(*value))
        .y_label_formatter(&|value| figure(*value))
        .light_line_style(WHITE)
        .draw()
        .expect("a plot is drawn");
    for (index, line) in lines.iter().enumerate() {
        let style = colour(index).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))
            .expect("a plot is drawn")
            .label(line.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        chart
            .draw_series(
                line.points
                    .iter()
                    .map(|at| Circle::new(*at, 3, colour(index).filled())),
            )
            .expect("a plot is drawn");
    }
    legend(&mut chart);
    root.present()
        .unwrap_or_else(|error| panic!("{} is not written: {error}", path.display()));
}

fn legend<'a, C: CoordTranslate>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>) {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(160, 160, 160))
        .draw()
        .expect("a plot is drawn");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_show_their_figures() {
        let dir = tempfile::tempdir().expect("a directory");
        let series = Series {
            name: "ours".to_owned(),
            values: vec![1_234.0, 10.0],
        };
        let categories = ["few".to_owned(), "many".to_owned()];
        let path = dir.path().join("plots/bars.svg");
        bars(&path, "Bars", "ms", &categories, &[series]);
        let text = std::fs::read_to_string(&path).expect("it is written");
        for shown in ["Bars", "ours", "1,234", "many", "</svg>"] {
            assert!(text.contains(shown), "{shown} is missing");
        }
        let line = Line {
            name: "theirs".to_owned(),
            points: vec![(1.0, 5.0), (10.0, 7.0)],
        };
        let path = dir.path().join("lines.svg");
        lines(&path, "Lines", "callers", "ms", &[line]);
        let text = std::fs::read_to_string(&path).expect("it is written");
        assert!(text.contains("theirs") && text.contains("polyline"));
    }
}
