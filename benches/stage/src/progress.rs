//! The progress bar.

use indicatif::{ProgressBar, ProgressStyle};

/// Returns a bar that shows the number of finished steps and the present step.
#[must_use]
pub fn progress_bar(steps: usize) -> ProgressBar {
    let style = "{elapsed_precise} {bar:30} {pos}/{len} {wide_msg} {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style)
}
