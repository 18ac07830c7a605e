//! Groups of bars, with their figures above and the names of the groups below them.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Chart, Series, colour, headroom, legend, short};

/// Part of a group's width that its bars take.
const FILLED: f64 = 0.8;

pub(super) fn draw(area: &Area<'_>, chart: &Chart, categories: &[String], series: &[Series]) {
    let top = series
        .iter()
        .flat_map(|series| &series.values)
        .fold(0.0, |top: f64, value| top.max(*value));
    let right = number(categories.len());
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..right, 0.0..top * headroom(series.len()))
        .expect("a plot is drawn");
    context
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc(&chart.up)
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .y_label_formatter(&|value| short(*value))
        .light_line_style(WHITE)
        .draw()
        .expect("a plot is drawn");
    let width = FILLED / number(series.len().max(1));
    for (index, series) in series.iter().enumerate() {
        let colour = colour(index);
        let offset = (1.0 - FILLED) / 2.0 + width * number(index);
        let bar = |(category, value): (usize, &f64)| {
            let left = number(category) + offset;
            let corners = [(left, 0.0), (left + width * 0.92, *value)];
            Rectangle::new(corners, colour.filled())
        };
        context
            .draw_series(series.values.iter().enumerate().map(bar))
            .expect("a plot is drawn")
            .label(series.name.clone())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        for (category, value) in series.values.iter().enumerate() {
            let at = (number(category) + offset + width * 0.46, *value);
            write(&mut context, at, -3, short(*value), (12, VPos::Bottom));
        }
    }
    for (category, name) in categories.iter().enumerate() {
        for (part, line) in name.split(", ").zip(0..) {
            let at = (number(category) + 0.5, 0.0);
            let below = 6 + 16 * line;
            write(&mut context, at, below, part.to_owned(), (14, VPos::Top));
        }
    }
    if series.len() > 1 {
        legend(&mut context);
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

type Context<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Text that is so many pixels below a point.
fn write(
    context: &mut Context<'_>,
    at: (f64, f64),
    below: i32,
    text: String,
    (size, up): (i32, VPos),
) {
    let style = TextStyle::from(("sans-serif", size)).pos(Pos::new(HPos::Center, up));
    let element = EmptyElement::at(at) + Text::new(text, (0, below), style);
    context
        .draw_series(std::iter::once(element))
        .expect("a plot is drawn");
}
