//! Lines over an axis.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::{Area, Chart, Line, Scale, colour, headroom, legend, short};

/// Points that are so many are no longer marked one by one.
const MARKED: usize = 40;

pub(super) fn draw(area: &Area<'_>, chart: &Chart, (across, scale): (&str, Scale), lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let left = points().fold(f64::MAX, |left: f64, (x, _)| left.min(*x));
    let right = points().fold(f64::MIN, |right: f64, (x, _)| right.max(*x));
    let top = points().fold(0.0, |top: f64, (_, y)| top.max(*y));
    let top = if top > 0.0 { top } else { 1.0 };
    let up = 0.0..top * headroom(lines.len());
    match scale {
        Scale::Linear => on(area, chart, across, (left.min(0.0)..right, up), lines),
        Scale::Logarithmic => {
            let range = (left * 0.9..right * 1.1).log_scale();
            on(area, chart, across, (range, up), lines);
        }
    }
}

fn on<X>(area: &Area<'_>, chart: &Chart, across: &str, (range, up): (X, Range<f64>), lines: &[Line])
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d(range, up)
        .expect("a plot is drawn");
    context
        .configure_mesh()
        .x_desc(across)
        .y_desc(&chart.up)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .light_line_style(WHITE)
        .draw()
        .expect("a plot is drawn");
    for (index, line) in lines.iter().enumerate() {
        let style = colour(index).stroke_width(2);
        context
            .draw_series(LineSeries::new(line.points.iter().copied(), style))
            .expect("a plot is drawn")
            .label(line.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        if line.points.len() <= MARKED {
            let mark = |at: &(f64, f64)| Circle::new(*at, 3, colour(index).filled());
            context
                .draw_series(line.points.iter().map(mark))
                .expect("a plot is drawn");
        }
    }
    if lines.len() > 1 {
        legend(&mut context);
    }
}
