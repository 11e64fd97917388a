//! The plot of the figures: bars of the part of the limit that each peer reaches.

use std::path::Path;

use anyhow::Result;
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, WHITE};

use super::figures::{FIGURES, Figure, Measured};
use crate::report::axis::Area;
use crate::report::palette::{GRID, INK, LIMIT_LINE, MUTED, colour, text};
use crate::results::Report;

const WIDTH: u32 = 860;
const HEADER: u32 = 78;
const FOOTER: u32 = 14;
/// The height of a bar with the gap below it.
const ROW: i32 = 22;
const BAR: i32 = 15;
/// The title of a figure above its bars.
const TITLE: i32 = 26;
/// The gap below the bars of a figure.
const GAP: i32 = 16;
/// The left end of all bars.
const LEFT: i32 = 210;
/// The position of the limit.
const LIMIT: i32 = 680;
/// The width of a value behind its bar.
const VALUE: i32 = 70;
/// The longest bar ends here, also if a peer exceeds the limit by more.
const END: i32 = 770;

/// Writes the plot. A figure without values is left out.
pub(super) fn draw(report: &Report, path: &Path) -> Result<()> {
    let figures: Vec<_> = FIGURES.iter().map(|figure| (figure, figure.measured(report))).collect();
    let height = |rows: &[Measured]| rows.len() as i32 * ROW + TITLE + GAP;
    let drawn = || figures.iter().filter(|(_, rows)| !rows.is_empty());
    let all: i32 = drawn().map(|(_, rows)| height(rows)).sum();
    let root = SVGBackend::new(path, (WIDTH, HEADER + FOOTER + all as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let left = |size, colour| text(size, colour, HPos::Left, VPos::Top);
    let title = "Veltix beside the raw limit and alternatives: longer is better";
    root.draw(&Text::new(title, (24, 18), left(21, INK)))?;
    let legend = format!(
        "part of the raw Tokio limit that is reached (time and memory: limit divided by value); \
         medians of {} rounds, {}",
        report.rounds, report.date
    );
    root.draw(&Text::new(legend, (24, 46), left(13, MUTED)))?;
    let mut top = HEADER as i32;
    for (figure, rows) in drawn() {
        draw_figure(&root, figure, rows, top)?;
        top += height(rows);
    }
    root.present()?;
    Ok(())
}

fn draw_figure(root: &Area<'_>, figure: &Figure, rows: &[Measured], top: i32) -> Result<()> {
    let title = text(14, INK, HPos::Left, VPos::Top);
    root.draw(&Text::new(figure.name(), (24, top), title))?;
    let (first, last) = (top + TITLE, top + TITLE + rows.len() as i32 * ROW);
    for tenths in [0, 5] {
        let x = LEFT + (LIMIT - LEFT) * tenths / 10;
        root.draw(&PathElement::new([(x, first - 2), (x, last)], GRID))?;
    }
    for (number, row) in rows.iter().enumerate() {
        let bar = first + number as i32 * ROW;
        let middle = bar + BAR / 2;
        let ink = if row.is_ours() { INK } else { MUTED };
        let name = text(13, ink, HPos::Right, VPos::Center);
        root.draw(&Text::new(row.name, (LEFT - 8, middle), name))?;
        // A bar is visible also if it is shorter than a pixel.
        let end = row.reached().map_or(LEFT, |reached| {
            let length = reached * f64::from(LIMIT - LEFT);
            (LEFT + length as i32).clamp(LEFT + 1, END)
        });
        let corners = [(LEFT, bar), (end, bar + BAR)];
        root.draw(&Rectangle::new(corners, colour(row.peer).filled()))?;
        let value = text(13, ink, HPos::Left, VPos::Center);
        // A value that would cross the line of the limit stands behind it.
        let is_at_limit = (LIMIT - VALUE..LIMIT).contains(&end);
        let start = if is_at_limit { LIMIT } else { end };
        root.draw(&Text::new(figure.text(row.value.median), (start + 8, middle), value))?;
    }
    let line = [(LIMIT, first - 2), (LIMIT, last)];
    root.draw(&PathElement::new(line, LIMIT_LINE.stroke_width(1)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    #[test]
    fn every_measured_figure_is_drawn_with_its_values() {
        let name = format!("veltix-load-headline-{}.svg", std::process::id());
        let path = std::env::temp_dir().join(name);
        let drawn = draw(
            &report(vec![
                series("W2", "limit", &[Some(44e6)]),
                series("W2", "veltix", &[Some(33e6)]),
                series("W2", "python", &[Some(0.0)]),
                series("W4_1000", "veltix", &[Some(291e3)]),
            ]),
            &path,
        );
        let text = std::fs::read_to_string(&path);
        let _ = std::fs::remove_file(&path);
        drawn.expect("the directory can be written to");
        let text = text.expect("there is a plot");
        for part in ["ingest (W2)", "33.0 M/s", "broadcast to 1 000", "291 k/s", "longer is better"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(text.trim_end().ends_with("</svg>") && !text.contains("NaN"), "{text}");
        assert!(!text.contains("(W6)"), "a figure without values is left out");
    }
}
