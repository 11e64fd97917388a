//! A server's last message but those that it has begun: it is about to end.

use std::time::Duration;

use bytes::Bytes;

use crate::limits::MAX_RECONNECT_SPREAD;

/// What a server says to a client before it ends, under the code
/// [`GOING_AWAY`](crate::GOING_AWAY), if [both of them know it](crate::Hello::knows_going_away).
///
/// ```
/// use std::time::Duration;
/// use veltix_core::GoingAway;
///
/// let going = GoingAway { spread: Duration::from_secs(5) };
/// assert_eq!(GoingAway::read(&going.body()), Some(going));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "more of it would be more bytes of the body")]
pub struct GoingAway {
    /// The time over which the server's clients are to come back, each at a moment of its own, drawn
    /// at random. Whole milliseconds travel.
    pub spread: Duration,
}

impl GoingAway {
    /// The message's body: the milliseconds, as 32 bits.
    #[must_use]
    pub fn body(self) -> Bytes {
        let millis = u32::try_from(self.spread.as_millis()).unwrap_or(u32::MAX);
        Bytes::copy_from_slice(&millis.to_be_bytes())
    }

    /// Reads a body; `None` when it is too short. What follows the time is ignored, so that more
    /// may be said one day. No server keeps a client away for longer than
    /// [`MAX_RECONNECT_SPREAD`].
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

    /// As PROTOCOL.md has it.
    #[test]
    fn the_frame_is_that_of_the_protocol() {
        let body = GoingAway { spread: Duration::from_secs(5) }.body();
        let mut bytes = BytesMut::new();
        Frame::new(GOING_AWAY.code(), IdSpace::server().plain(), body).write_to(&mut bytes);
        let expected = b"VX\0\0\x02\0\0\0\x04\xa3\xc8\x95\x9c\x80\0\0\0\x13\x88";
        assert_eq!(&bytes[..], &expected[..]);
    }
}
