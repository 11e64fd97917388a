//! [`Talk`]: the standard output, which several tasks share.

use std::io::{self, Write as _};

use serde::Serialize;
use veltix_cluster_faults::Line;

/// The standard output. A line is written whole.
#[derive(Clone)]
pub(crate) struct Talk(());

impl Talk {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    pub(crate) fn say(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        // Without a test there is nobody to tell.
        let _ = io::stdout().lock().write_all(&text);
    }

    pub(crate) fn answer(&self, order: u64, answer: &impl Serialize) {
        let answer = serde_json::to_value(answer).unwrap_or_default();
        self.say(&Line::Answer(order, answer));
    }
}
