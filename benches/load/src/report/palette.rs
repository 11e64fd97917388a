//! Colours and text of the plots. The size of a text is not measured, since the viewer chooses the
//! font.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle};

pub(crate) const INK: RGBColor = RGBColor(34, 40, 49);
pub(crate) const MUTED: RGBColor = RGBColor(110, 118, 129);
pub(crate) const GRID: RGBColor = RGBColor(228, 231, 235);
pub(crate) const LIMIT_LINE: RGBColor = RGBColor(60, 66, 75);

/// Returns the colour of a peer. Our servers are blue, the limit is black, other Rust libraries are
/// green and brown, Python is golden, brokers are red, and unknown peers are grey.
pub(crate) fn colour(peer: &str) -> RGBColor {
    match peer {
        "limit" => LIMIT_LINE,
        "limit-tls" => RGBColor(90, 97, 107),
        "veltix" => RGBColor(11, 95, 214),
        "veltix-async" => RGBColor(74, 163, 245),
        "veltix-typed" => RGBColor(95, 75, 200),
        "veltix-by-hand" => RGBColor(180, 165, 240),
        "veltix-layered" => RGBColor(150, 130, 230),
        "veltix-threading" => RGBColor(20, 160, 190),
        "veltix-tls" => RGBColor(8, 60, 135),
        "veltix+limit" => RGBColor(120, 190, 250),
        "delimited" => RGBColor(26, 135, 84),
        "delimited-batch" => RGBColor(120, 190, 95),
        "tungstenite" => RGBColor(160, 95, 45),
        "message-io" => RGBColor(205, 150, 100),
        "tarpc" => RGBColor(0, 110, 110),
        "python" => RGBColor(232, 173, 10),
        "nats" => RGBColor(205, 50, 55),
        "redis" => RGBColor(235, 115, 140),
        _ => RGBColor(140, 146, 155),
    }
}

/// Returns a style for text of this size in pixels, anchored at its position.
pub(crate) fn text(size: u32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    let color = colour.to_backend_color();
    TextStyle { font: ("sans-serif", size).into_font(), color, pos: Pos::new(h, v) }
}
