//! What becomes of a connection through the proxy.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

/// What becomes of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// On the way to the server.
    pub(crate) up: Shape,
    /// On the way back.
    pub(crate) down: Shape,
    pub(crate) end: End,
}

/// How bytes pass in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Each piece waits so long.
    pub(crate) delay: Duration,
    /// Bytes of a piece at most.
    pub(crate) slice: usize,
    /// Bytes in a second at most.
    pub(crate) rate: Option<u32>,
}

/// How a connection ends, if neither side ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It does not.
    Never,
    /// Both sides are sent a reset.
    Reset {
        /// So long after its beginning.
        after: Duration,
    },
    /// Both sides see the end of the stream, wherever that was.
    Cut {
        /// So long after its beginning.
        after: Duration,
    },
    /// Nothing goes through any more, and nobody is told; later both sides are sent a reset.
    Swallowed {
        /// So long after its beginning.
        after: Duration,
        /// How long nobody is told.
        held: Duration,
    },
}

impl Shape {
    /// As it comes.
    pub(crate) const UNHARMED: Self = Self { delay: Duration::ZERO, slice: 64 * 1_024, rate: None };

    /// One of the ways to be slow, or none.
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

    /// Slow in some way, and broken off in another within seconds.
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

    /// Waits until it is broken off, if it is.
    pub(super) async fn end_comes(self) {
        match self.end {
            End::Never => pending().await,
            End::Reset { after } | End::Cut { after } | End::Swallowed { after, .. } => {
                sleep(after).await;
            }
        }
    }
}
