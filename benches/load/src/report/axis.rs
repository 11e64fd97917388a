//! An axis: the positions of values, and its labels.

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::DrawingArea;
use plotters::element::{EmptyElement, PathElement, Text};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::format::number;
use super::palette::{GRID, INK, MUTED, text};

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The ratio of the largest to the smallest value above which an axis is logarithmic.
const LINEAR_SPAN: f64 = 8.0;

#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) logarithmic: bool,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Makes an axis for all the values: linear from zero, or logarithmic if their range is large.
    pub(crate) fn over(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = positive
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        if high <= 0.0 {
            return Self::linear(1.0);
        }
        if high / low <= LINEAR_SPAN { Self::linear(high) } else { Self::logarithmic(low, high) }
    }

    fn linear(high: f64) -> Self {
        let step = nice(high / 4.0);
        let steps = (high / step).ceil();
        let ticks = (0..=steps as usize).map(|index| index as f64 * step);
        let ticks = ticks.map(|value| (value, label(value))).collect();
        Self { logarithmic: false, low: 0.0, high: steps * step, ticks }
    }

    pub(crate) fn logarithmic(low: f64, high: f64) -> Self {
        let (low, high) = (low / 1.25, high * 1.25);
        let decades: Vec<_> = (low.log10().floor() as i32..=high.log10().ceil() as i32).collect();
        // A small number of decades is divided, so that every axis has several labels.
        let within: &[f64] = if decades.len() <= 4 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = decades
            .iter()
            .flat_map(|decade| within.iter().map(move |digit| digit * 10_f64.powi(*decade)))
            .filter(|value| (low..=high).contains(value))
            .map(|value| (value, label(value)))
            .collect();
        Self { logarithmic: true, low, high, ticks }
    }

    /// Makes a logarithmic axis with exactly these labels.
    pub(crate) fn at_values(values: &[f64]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        let ticks = values.iter().map(|value| (*value, label(*value))).collect();
        Self { ticks, ..Self::logarithmic(low, high) }
    }

    /// Makes an axis for percentiles, on which each further nine has the same width.
    pub(crate) fn nines(percentiles: &[f64]) -> Self {
        let position = |percent: &f64| (nines_of(*percent), format!("p{percent}"));
        let ticks: Vec<_> = percentiles.iter().map(position).collect();
        let low = ticks.iter().map(|(at, _)| *at).fold(f64::INFINITY, f64::min);
        let high = ticks.iter().map(|(at, _)| *at).fold(0.0, f64::max);
        Self { logarithmic: false, low: low - 0.12, high: high + 0.12, ticks }
    }

    /// Returns the position of a value in the coordinates of the chart.
    pub(crate) fn at(&self, value: f64) -> f64 {
        if self.logarithmic { value.max(self.low).log10() } else { value }
    }

    pub(crate) fn start(&self) -> f64 {
        self.at(self.low)
    }

    pub(crate) fn end(&self) -> f64 {
        self.at(self.high)
    }

    pub(crate) fn ticks(&self) -> impl Iterator<Item = (f64, &str)> {
        self.ticks.iter().map(|(value, label)| (self.at(*value), label.as_str()))
    }
}

/// Returns the number of nines of a percentile: 1 for 90, 2 for 99.
pub(crate) fn nines_of(percent: f64) -> f64 {
    -(1.0 - percent.min(99.9999) / 100.0).log10()
}

/// Returns the next larger number of the series 1, 2, 5, 10, …
fn nice(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0].into_iter().find(|digit| digit * decade >= step * 0.999);
    digits.unwrap_or(10.0) * decade
}

/// Returns a short text for a value beside an axis.
fn label(value: f64) -> String {
    let short = |value: f64, suffix: &str| {
        let text = format!("{value:.2}");
        format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e9 => short(value / 1e9, " G"),
        size if size >= 1e6 => short(value / 1e6, " M"),
        size if size >= 1e4 => short(value / 1e3, " k"),
        size if size >= 100.0 => number(value),
        size if size >= 0.01 => short(value, ""),
        _ => format!("{value:.3e}").replace(".000", ""),
    }
}

/// Draws an empty chart with a grid, labels and the names of both axes.
pub(crate) fn chart<'a, 'b>(
    area: &'a Area<'b>,
    (x, x_name): (&Axis, &str),
    (y, y_name): (&Axis, &str),
) -> anyhow::Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(x.start()..x.end(), y.start()..y.end())?;
    let small = |h, v| text(12, MUTED, h, v);
    for (at, label) in x.ticks() {
        chart.draw_series([PathElement::new([(at, y.start()), (at, y.end())], GRID)])?;
        let written = Text::new(label.to_owned(), (0, 7), small(HPos::Center, VPos::Top));
        chart.draw_series([EmptyElement::at((at, y.start())) + written])?;
    }
    for (at, label) in y.ticks() {
        chart.draw_series([PathElement::new([(x.start(), at), (x.end(), at)], GRID)])?;
        let written = Text::new(label.to_owned(), (-7, 0), small(HPos::Right, VPos::Center));
        chart.draw_series([EmptyElement::at((x.start(), at)) + written])?;
    }
    let base = [(x.start(), y.start()), (x.end(), y.start())];
    chart.draw_series([PathElement::new(base, MUTED.stroke_width(1))])?;
    let name = |h, v| text(13, INK, h, v);
    let middle = f64::midpoint(x.start(), x.end());
    let written = Text::new(x_name.to_owned(), (0, 28), name(HPos::Center, VPos::Top));
    chart.draw_series([EmptyElement::at((middle, y.start())) + written])?;
    let written = Text::new(y_name.to_owned(), (-56, -10), name(HPos::Left, VPos::Bottom));
    chart.draw_series([EmptyElement::at((x.start(), y.end())) + written])?;
    Ok(chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_several_decades_get_a_logarithmic_axis() {
        assert!(!Axis::over([1.0, 3.0]).logarithmic);
        let wide = Axis::over([0.01, 1.0, 2.0]);
        assert!(wide.logarithmic);
        assert!(wide.start() < wide.at(0.01) && wide.at(2.0) < wide.end());
        assert!(!Axis::over([]).logarithmic, "nothing to draw is no reason to fail");
    }

    #[test]
    fn a_linear_axis_starts_at_zero_and_ends_at_a_round_number() {
        let axis = Axis::over([3.1, 7.3]);
        let labels: Vec<_> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0", "2", "4", "6", "8"]);
    }

    #[test]
    fn each_nine_has_the_same_width() {
        let distance = nines_of(99.9) - nines_of(99.0);
        assert!((distance - (nines_of(99.0) - nines_of(90.0))).abs() < 1e-9);
    }
}
