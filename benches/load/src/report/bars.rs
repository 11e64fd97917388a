//! Bars of the ratios to the limit: a plot for each group of workloads, a panel for each workload.

use std::path::{Path, PathBuf};

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{EmptyElement, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, WHITE};

use super::axis::{Area, Axis};
use super::format::number;
use super::groups::{Group, is_growth};
use super::limit::{LIMIT, reference};
use super::palette::{GRID, INK, LIMIT_LINE, MUTED, colour, text};
use super::statistics::{Spread, pair};
use crate::names::title;
use crate::results::{Better, Report};

const PANEL_WIDTH: u32 = 560;
const ROW: u32 = 22;
/// The heights of a panel's title, above its bars, and of the labels below them.
const PANEL_EXTRA: u32 = TITLE + VALUES;
const TITLE: u32 = 42;
const VALUES: u32 = 30;
const HEADER: u32 = 74;
const FOOTER: u32 = 34;
const MARGIN: u32 = 24;

/// The ratios of one workload.
struct Panel<'a> {
    workload: &'a str,
    rows: Vec<(&'a str, Option<Spread>)>,
}

/// Writes `ratios-GROUP.svg` for every group that has a ratio. Workloads in which higher is better
/// and those in which lower is better have separate plots.
pub(crate) fn draw(report: &Report, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for group in Group::ALL {
        for better in [Better::Higher, Better::Lower] {
            let panels = panels(report, group, better);
            if panels.is_empty() {
                continue;
            }
            let direction = match better {
                Better::Higher => "higher",
                Better::Lower => "lower",
            };
            let path = dir.join(format!("ratios-{}-{direction}.svg", group.name()));
            let title = format!("{}: ratio to the raw Tokio limit", group.title());
            plot(&path, &title, direction, report, &panels)?;
            written.push(path);
        }
    }
    Ok(written)
}

fn panels(report: &Report, group: Group, better: Better) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for series in &report.series {
        let workload = series.workload.as_str();
        if Group::of(workload) != group || series.better != better || is_growth(workload) {
            continue;
        }
        let Some(limit) = reference(report, workload) else { continue };
        if std::ptr::eq(limit, series) {
            continue;
        }
        let row = (series.peer.as_str(), pair(series, limit).map(|paired| paired.ratios));
        match panels.iter_mut().find(|panel| panel.workload == workload) {
            Some(panel) => panel.rows.push(row),
            None => panels.push(Panel { workload, rows: vec![row] }),
        }
    }
    for panel in &mut panels {
        let missing = report.missing.iter();
        let here = missing.filter(|missing| missing.workload.as_deref() == Some(panel.workload));
        panel.rows.extend(here.map(|missing| (missing.peer.as_str(), None)));
    }
    panels.retain(|panel| panel.rows.iter().any(|(_, ratios)| ratios.is_some()));
    panels
}

fn plot(
    path: &Path,
    title: &str,
    direction: &str,
    report: &Report,
    panels: &[Panel<'_>],
) -> anyhow::Result<()> {
    let columns = if panels.len() > 1 { 2 } else { 1 };
    let rows = |line: &[Panel<'_>]| line.iter().map(|panel| panel.rows.len()).max().unwrap_or(0);
    let heights: Vec<_> =
        panels.chunks(columns).map(|line| rows(line) as u32 * ROW + PANEL_EXTRA).collect();
    let width = columns as u32 * (PANEL_WIDTH + MARGIN) + MARGIN;
    let height = HEADER + heights.iter().map(|height| height + MARGIN).sum::<u32>() + FOOTER;
    let root = SVGBackend::new(path, (width, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let left = MARGIN as i32;
    root.draw(&Text::new(title, (left, 18), text(21, INK, HPos::Left, VPos::Top)))?;
    let legend = format!(
        "{direction} is better; thin line: min–max of the rounds; on a logarithmic scale, bars start \
         at the limit"
    );
    root.draw(&Text::new(legend, (left, 46), text(13, MUTED, HPos::Left, VPos::Top)))?;
    let mut top = HEADER;
    for (line, height) in panels.chunks(columns).zip(&heights) {
        for (column, panel) in line.iter().enumerate() {
            let corner = (MARGIN + column as u32 * (PANEL_WIDTH + MARGIN), top);
            let area = root.clone().shrink(corner, (PANEL_WIDTH, *height));
            draw_panel(&area, panel)?;
        }
        top += height + MARGIN;
    }
    let missing: Vec<_> =
        report.missing.iter().filter(|missing| missing.workload.is_none()).collect();
    if !missing.is_empty() {
        let mut names: Vec<_> = missing.iter().map(|missing| missing.peer.as_str()).collect();
        names.dedup();
        let line = format!("missing in this run: {}", names.join(", "));
        let at = (left, (height - FOOTER + 6) as i32);
        root.draw(&Text::new(line, at, text(13, MUTED, HPos::Left, VPos::Top)))?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel<'_>) -> anyhow::Result<()> {
    let ratios = panel.rows.iter().filter_map(|(_, ratios)| *ratios);
    let axis = Axis::over(ratios.flat_map(|ratios| [ratios.low, ratios.high, 1.0]));
    let title = title(panel.workload);
    area.draw(&Text::new(title, (0, 4), text(14, INK, HPos::Left, VPos::Top)))?;
    let count = panel.rows.len();
    let area = area.clone().shrink((0, TITLE), (PANEL_WIDTH, count as u32 * ROW + VALUES));
    let mut chart = ChartBuilder::on(&area)
        .x_label_area_size(VALUES)
        .y_label_area_size(130)
        .margin_right(64)
        .build_cartesian_2d(axis.start()..axis.end(), count as f64..0.0)?;
    let bottom = count as f64;
    for (at, label) in axis.ticks() {
        chart.draw_series([PathElement::new([(at, 0.0), (at, bottom)], GRID)])?;
        let written = Text::new(label.to_owned(), (0, 6), text(12, MUTED, HPos::Center, VPos::Top));
        chart.draw_series([EmptyElement::at((at, bottom)) + written])?;
    }
    let limit = axis.at(1.0);
    let from = if axis.logarithmic { limit } else { axis.start() };
    for (index, (peer, ratios)) in panel.rows.iter().enumerate() {
        let middle = index as f64 + 0.5;
        let ours = peer.starts_with("veltix");
        let ink = if ours { INK } else { MUTED };
        let name = Text::new((*peer).to_owned(), (-8, 0), text(13, ink, HPos::Right, VPos::Center));
        chart.draw_series([EmptyElement::at((axis.start(), middle)) + name])?;
        let Some(ratios) = ratios else {
            let missing =
                Text::new("not measured", (8, 0), text(12, MUTED, HPos::Left, VPos::Center));
            chart.draw_series([EmptyElement::at((axis.start(), middle)) + missing])?;
            continue;
        };
        let end = axis.at(ratios.median);
        let bar = [(from.min(end), middle - 0.33), (from.max(end), middle + 0.33)];
        chart.draw_series([Rectangle::new(bar, colour(peer).filled())])?;
        let range = [(axis.at(ratios.low), middle), (axis.at(ratios.high), middle)];
        chart.draw_series([PathElement::new(range, INK.mix(0.75).stroke_width(2))])?;
        let value = text(13, ink, HPos::Right, VPos::Center);
        let value = Text::new(number(ratios.median), (56, 0), value);
        chart.draw_series([EmptyElement::at((axis.end(), middle)) + value])?;
    }
    let line = [(limit, 0.0), (limit, bottom)];
    chart.draw_series([PathElement::new(line, LIMIT_LINE.stroke_width(2))])?;
    let label = Text::new(LIMIT, (0, -3), text(11, LIMIT_LINE, HPos::Center, VPos::Bottom));
    chart.draw_series([EmptyElement::at((limit, 0.0)) + label])?;
    Ok(())
}
