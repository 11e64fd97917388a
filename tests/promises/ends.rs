//! The ways in which a connection ends.

use veltix::{CloseReason, Peer, ProtocolError};

use super::numbered;
use crate::support::{ECHO, OTHER, RawPeer, World, frame};

/// A way in which the connection of a raw peer ends. The server has its default deadlines and no
/// route for `OTHER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer ends its stream and continues to read.
    Eof,
    /// The peer closes both directions.
    Break,
    /// The peer sends bytes that are not a frame.
    Garbage,
    /// The peer floods with unknown codes.
    Flood,
    /// The peer begins a frame and sends nothing more.
    SlowFrame,
    /// The peer sends nothing, not even a pong.
    Silence,
    /// The peer does not read the frames that it is sent.
    Stall,
    /// The peer does not read, and its outbox overflows.
    Overflow,
    /// This side closes.
    Close,
    /// The server shuts down.
    Shutdown,
}

impl End {
    /// The ends after which handlers still finish.
    pub(crate) const LENIENT: [Self; 9] = [
        Self::Eof,
        Self::Break,
        Self::Garbage,
        Self::Flood,
        Self::SlowFrame,
        Self::Silence,
        Self::Stall,
        Self::Overflow,
        Self::Shutdown,
    ];

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::LENIENT.into_iter().chain([Self::Close])
    }

    /// Causes this end, now or after [`seconds`](End::seconds).
    pub(crate) async fn begin(self, world: &World, raw: &mut RawPeer, peer: &Peer) {
        let message = numbered(OTHER, 0);
        match self {
            Self::Eof => raw.end(),
            Self::Break => (raw.reader, raw.writer) = (None, None),
            Self::Garbage => raw.write(b"not a frame").await.expect("the server reads"),
            Self::Flood => {
                for _ in 0..=10_000 {
                    raw.send(OTHER.code(), 0, "").await.expect("the server reads");
                }
            }
            Self::SlowFrame => {
                raw.write(&frame(ECHO.code(), 0, "")[..8]).await.expect("the server reads");
            }
            Self::Silence => {}
            Self::Stall => while peer.try_send(&message).is_ok() {},
            Self::Overflow => {
                while world.hub.broadcast(&message).expect("it is encoded").dropped == 0 {}
            }
            Self::Close => drop(peer.close()),
            Self::Shutdown => drop(world.hub.shutdown()),
        }
    }

    /// Returns the seconds until this end takes effect.
    pub(crate) const fn seconds(self) -> u64 {
        match self {
            Self::Stall => 10,
            Self::SlowFrame => 30,
            Self::Silence => 45,
            _ => 0,
        }
    }

    /// Returns the close reason that the connection reports.
    pub(crate) const fn reason(self) -> CloseReason {
        match self {
            Self::Eof | Self::Break => CloseReason::PeerClosed,
            Self::Garbage => CloseReason::Protocol(ProtocolError::BadMagic { found: *b"no" }),
            Self::Flood => CloseReason::UnknownCodes,
            Self::SlowFrame => CloseReason::SlowFrame,
            Self::Silence => CloseReason::HeartbeatTimeout,
            Self::Stall => CloseReason::WriteStalled,
            Self::Overflow => CloseReason::SlowConsumer,
            Self::Close => CloseReason::Closed,
            Self::Shutdown => CloseReason::Shutdown,
        }
    }
}
