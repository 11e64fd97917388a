//! [`GoingAway`]: the message by which a server announces its end.

use std::time::Duration;

use bytes::Bytes;

use crate::limits::MAX_RECONNECT_SPREAD;

/// A server sends this announcement before it ends, under the code
/// [`GOING_AWAY`](crate::GOING_AWAY), to clients that [know it](crate::Hello::knows_going_away).
/// Only frames that the server has already begun follow it.
///
/// ```
/// use std::time::Duration;
/// use veltix_core::GoingAway;
///
/// let going = GoingAway { spread: Duration::from_secs(5) };
/// assert_eq!(GoingAway::read(&going.body()), Some(going));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "another field would be another part of the body")]
pub struct GoingAway {
    /// Holds the time over which the clients reconnect. Each client chooses a random moment in it.
    /// The wire carries whole milliseconds.
    pub spread: Duration,
}

impl GoingAway {
    /// Returns the body of the message: the milliseconds as 32 bits.
    #[must_use]
    pub fn body(self) -> Bytes {
        let millis = u32::try_from(self.spread.as_millis()).unwrap_or(u32::MAX);
        Bytes::copy_from_slice(&millis.to_be_bytes())
    }

    /// Reads a body. Returns `None` if the body is too short.
    ///
    /// Bytes after the time are ignored, so that later versions can add fields. The time is cut to
    /// [`MAX_RECONNECT_SPREAD`], so that no server keeps a client away for longer.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let millis = u32::from_be_bytes(*body.first_chunk()?);
        let spread = Duration::from_millis(millis.into()).min(MAX_RECONNECT_SPREAD);
        Some(Self { spread })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::{Frame, GOING_AWAY, IdSpace};

    #[test]
    fn the_time_is_milliseconds_in_four_bytes_and_bounded() {
        let going = |millis| GoingAway { spread: Duration::from_millis(millis) };
        assert_eq!(going(5_000).body(), &b"\x00\x00\x13\x88"[..]);
        assert_eq!(GoingAway { spread: Duration::MAX }.body(), &b"\xff\xff\xff\xff"[..]);
        assert_eq!(GoingAway::read(b"\x00\x00\x13\x88 and more"), Some(going(5_000)));
        assert_eq!(GoingAway::read(b"\x00\x00\x00\x00"), Some(going(0)));
        let longest = Some(GoingAway { spread: MAX_RECONNECT_SPREAD });
        assert_eq!(GoingAway::read(b"\xff\xff\xff\xff"), longest);
        assert_eq!(GoingAway::read(b"\x00\x13\x88"), None);
    }

    /// The bytes are those of the example in PROTOCOL.md.
    #[test]
    fn the_frame_is_that_of_the_protocol() {
        let body = GoingAway { spread: Duration::from_secs(5) }.body();
        let mut bytes = BytesMut::new();
        Frame::new(GOING_AWAY.code(), IdSpace::server().plain(), body).write_to(&mut bytes);
        let expected = b"VX\0\0\x02\0\0\0\x04\xa3\xc8\x95\x9c\x80\0\0\0\x13\x88";
        assert_eq!(&bytes[..], &expected[..]);
    }
}
