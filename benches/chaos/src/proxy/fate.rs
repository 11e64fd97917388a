//! The fate of a connection through the proxy.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

/// The fate of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// The shape on the way to the server.
    pub(crate) up: Shape,
    /// The shape on the way back.
    pub(crate) down: Shape,
    pub(crate) end: End,
}

/// How bytes pass in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The delay of each piece.
    pub(crate) delay: Duration,
    /// The largest piece in bytes.
    pub(crate) slice: usize,
    /// The highest rate in bytes per second.
    pub(crate) rate: Option<u32>,
}

/// How a connection ends, if neither side ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It has no end.
    Never,
    /// Both sides receive a reset.
    Reset {
        /// The time since the start of the connection.
        after: Duration,
    },
    /// Both sides see the end of the stream, at any byte.
    Cut {
        /// The time since the start of the connection.
        after: Duration,
    },
    /// Nothing passes any more, and neither side is notified. Later both sides receive a reset.
    Swallowed {
        /// The time since the start of the connection.
        after: Duration,
        /// The time without a notice.
        held: Duration,
    },
}

impl Shape {
    /// Bytes pass unchanged and at once.
    pub(crate) const UNHARMED: Self = Self { delay: Duration::ZERO, slice: 64 * 1_024, rate: None };

    /// Draws one of the ways to be slow, or none.
    pub(crate) fn draw(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(0..4) {
            0 => Self::UNHARMED,
            1 => Self { delay: Duration::from_millis(rng.u64(1..30)), ..Self::UNHARMED },
            2 => Self { slice: rng.usize(1..40), ..Self::UNHARMED },
            _ => Self { rate: Some(rng.u32(30_000..300_000)), ..Self::UNHARMED },
        }
    }
}

impl Fate {
    pub(crate) const UNHARMED: Self =
        Self { up: Shape::UNHARMED, down: Shape::UNHARMED, end: End::Never };

    /// Draws a way to be slow and a way to end within seconds.
    pub(crate) fn draw(rng: &mut fastrand::Rng) -> Self {
        let (up, down) = (Shape::draw(rng), Shape::draw(rng));
        let after = Duration::from_millis(rng.u64(50..3_000));
        let end = match rng.u8(0..5) {
            0 => End::Never,
            1 | 2 => End::Reset { after },
            3 => End::Cut { after },
            _ => End::Swallowed { after, held: Duration::from_millis(rng.u64(500..4_000)) },
        };
        Self { up, down, end }
    }

    /// Waits for the end, if there is one.
    pub(super) async fn end_comes(self) {
        match self.end {
            End::Never => pending().await,
            End::Reset { after } | End::Cut { after } | End::Swallowed { after, .. } => {
                sleep(after).await;
            }
        }
    }
}
