//! Plots with lines: percentiles of a latency, the rate by the number of subscribers, and growth.

use std::path::{Path, PathBuf};

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Circle, PathElement, Text};
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, WHITE};

use super::axis::{Area, Axis, chart, nines_of};
use super::groups::is_growth;
use super::palette::{INK, MUTED, colour, text};
use super::statistics::{PowerLaw, Spread, by_peer};
use crate::names::{label, title};
use crate::results::{Report, Series};

const WIDTH: u32 = 860;
const HEIGHT: u32 = 470;
const LEGEND: u32 = 190;

/// A line and its points.
struct Curve {
    peer: String,
    /// The second line of the legend.
    detail: Option<String>,
    points: Vec<(f64, Spread)>,
    fitted: Option<PowerLaw>,
}

/// A plot with one pair of axes.
struct Plot {
    title: String,
    subtitle: String,
    x: (Axis, &'static str),
    y: (Axis, String),
    curves: Vec<Curve>,
}

/// Writes every plot for which the report has values.
pub(crate) fn draw(report: &Report, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut workloads: Vec<&str> = Vec::new();
    for series in &report.series {
        if !workloads.contains(&series.workload.as_str()) {
            workloads.push(&series.workload);
        }
    }
    let mut written = Vec::new();
    let mut write = |name: String, plot: Option<Plot>| -> anyhow::Result<()> {
        let Some(plot) = plot else { return Ok(()) };
        let path = dir.join(format!("{name}.svg"));
        plot.write(&path)?;
        written.push(path);
        Ok(())
    };
    for (prefix, title) in [
        ("W4_", "Broadcast: deliveries per second, 1 publish in flight (W4)"),
        ("W4p_", "Broadcast: deliveries per second, 64 publishes in flight (W4p)"),
    ] {
        let name = format!("subscribers-{}", prefix.trim_end_matches('_'));
        write(name, subscribers(report, prefix, title))?;
    }
    for workload in workloads {
        let of_it: Vec<_> =
            report.series.iter().filter(|series| series.workload == workload).collect();
        write(format!("percentiles-{workload}"), percentiles(workload, &of_it))?;
        if is_growth(workload) {
            write(workload.to_owned(), growth(workload, &of_it))?;
        }
    }
    Ok(written)
}

fn subscribers(report: &Report, prefix: &str, title: &str) -> Option<Plot> {
    let sized: Vec<_> =
        report.series.iter().filter(|series| series.workload.starts_with(prefix)).collect();
    let curves: Vec<_> = by_peer(&sized)
        .into_iter()
        .map(|(peer, points)| Curve { peer: peer.to_owned(), detail: None, points, fitted: None })
        .collect();
    let sizes = sizes(&curves);
    (sizes.len() > 1).then(|| Plot {
        title: title.to_owned(),
        subtitle: "median, and min–max of the rounds; higher is better".to_owned(),
        x: (Axis::at_values(&sizes), "subscribers"),
        y: (y_axis(&curves), unit(&sized)),
        curves,
    })
}

fn percentiles(workload: &str, all: &[&Series]) -> Option<Plot> {
    let measured: Vec<_> =
        all.iter().filter(|series| !series.percentiles.is_empty()).copied().collect();
    let mut percents: Vec<_> = measured
        .iter()
        .flat_map(|series| series.percentiles.iter().map(|(percent, _)| *percent))
        .collect();
    percents.sort_by(f64::total_cmp);
    percents.dedup();
    let point = |(percent, value): &(f64, f64)| {
        (nines_of(*percent), Spread { low: *value, median: *value, high: *value })
    };
    let curves: Vec<_> = measured
        .iter()
        .map(|series| Curve {
            peer: series.peer.clone(),
            detail: None,
            points: series.percentiles.iter().map(point).collect(),
            fitted: None,
        })
        .collect();
    (!curves.is_empty()).then(|| Plot {
        title: format!("Percentiles of the latency: {}", label(workload)),
        subtitle: "lower is better".to_owned(),
        x: (Axis::nines(&percents), "percentile"),
        y: (y_axis(&curves), "µs".to_owned()),
        curves,
    })
}

fn growth(workload: &str, all: &[&Series]) -> Option<Plot> {
    let curves: Vec<_> = by_peer(all)
        .into_iter()
        .map(|(peer, points)| {
            let medians: Vec<_> = points.iter().map(|(x, y)| (*x, y.median)).collect();
            let fitted = PowerLaw::fit(&medians);
            let detail = fitted.map(|law| format!("grows with n^{:.2}", law.exponent));
            Curve { peer: peer.to_owned(), detail, points, fitted }
        })
        .collect();
    let sizes = sizes(&curves);
    let values = || curves.iter().flat_map(|curve| &curve.points);
    let low = values().map(|(_, y)| y.low).fold(f64::INFINITY, f64::min);
    let high = values().map(|(_, y)| y.high).fold(0.0, f64::max);
    // A power law is a straight line only if both axes are logarithmic.
    (!curves.is_empty() && low > 0.0).then(|| Plot {
        title: title(workload),
        subtitle: "median, and min–max of the rounds; thin line: fitted power law".to_owned(),
        x: (Axis::at_values(&sizes), "peers"),
        y: (Axis::logarithmic(low / 1.6, high * 1.6), unit(all)),
        curves,
    })
}

fn sizes(curves: &[Curve]) -> Vec<f64> {
    let mut sizes: Vec<_> =
        curves.iter().flat_map(|curve| curve.points.iter().map(|(x, _)| *x)).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    sizes
}

fn y_axis(curves: &[Curve]) -> Axis {
    let points = curves.iter().flat_map(|curve| &curve.points);
    Axis::over(points.flat_map(|(_, y)| [y.low, y.high]))
}

fn unit(all: &[&Series]) -> String {
    all.first().map_or_else(String::new, |series| series.unit.clone())
}

impl Plot {
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let root = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        root.draw(&Text::new(self.title.as_str(), (24, 18), text(21, INK, HPos::Left, VPos::Top)))?;
        let scale = if self.y.0.logarithmic { "; logarithmic" } else { "" };
        let subtitle = format!("{}{scale}", self.subtitle);
        root.draw(&Text::new(subtitle, (24, 46), text(13, MUTED, HPos::Left, VPos::Top)))?;
        let body = root.clone().shrink((14, 94), (WIDTH - LEGEND - 24, HEIGHT - 94 - 10));
        self.draw_curves(&body)?;
        let legend = root.clone().shrink((WIDTH - LEGEND, 94), (LEGEND, HEIGHT - 94));
        self.draw_legend(&legend)?;
        root.present()?;
        Ok(())
    }

    fn draw_curves(&self, area: &Area<'_>) -> anyhow::Result<()> {
        let (x, y) = (&self.x.0, &self.y.0);
        let mut chart = chart(area, (x, self.x.1), (y, &self.y.1))?;
        // Our lines come last, so that they lie above the others.
        let (ours, others): (Vec<_>, Vec<_>) =
            self.curves.iter().partition(|curve| curve.peer.starts_with("veltix"));
        for curve in others.into_iter().chain(ours) {
            let colour = colour(&curve.peer);
            let at = |(size, spread): &(f64, Spread)| (x.at(*size), y.at(spread.median));
            if let Some(law) = curve.fitted {
                let ends = curve.points.first().into_iter().chain(curve.points.last());
                let line = ends.map(|(size, _)| (x.at(*size), y.at(law.at(*size))));
                chart
                    .draw_series([PathElement::new(line.collect::<Vec<_>>(), colour.mix(0.45))])?;
            }
            let width = if curve.peer.starts_with("veltix") { 3 } else { 2 };
            let line = curve.points.iter().map(at);
            chart.draw_series(LineSeries::new(line, colour.stroke_width(width)))?;
            for (size, spread) in &curve.points {
                let range = [(x.at(*size), y.at(spread.low)), (x.at(*size), y.at(spread.high))];
                chart.draw_series([PathElement::new(range, colour.stroke_width(1))])?;
            }
            let points = curve.points.iter();
            chart.draw_series(points.map(|point| Circle::new(at(point), 4, colour.filled())))?;
        }
        Ok(())
    }

    /// Draws the names, in the vertical order of the ends of their lines.
    fn draw_legend(&self, area: &Area<'_>) -> anyhow::Result<()> {
        let mut order: Vec<_> = self.curves.iter().collect();
        let end = |curve: &Curve| curve.points.last().map_or(0.0, |(_, spread)| spread.median);
        order.sort_by(|one, other| end(other).total_cmp(&end(one)));
        let mut top = 8;
        for curve in order {
            let colour = colour(&curve.peer);
            let line = [(10, top), (32, top)];
            area.draw(&PathElement::new(line, colour.stroke_width(3)))?;
            area.draw(&Circle::new((21, top), 4, colour.filled()))?;
            let name = text(13, INK, HPos::Left, VPos::Center);
            area.draw(&Text::new(curve.peer.as_str(), (40, top), name))?;
            if let Some(detail) = &curve.detail {
                top += 17;
                let detail_style = text(12, MUTED, HPos::Left, VPos::Center);
                area.draw(&Text::new(detail.as_str(), (40, top), detail_style))?;
            }
            top += 21;
        }
        Ok(())
    }
}
