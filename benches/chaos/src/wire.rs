//! The messages between the peers and the server in all scenarios.

use bytes::{BufMut, Bytes, BytesMut};
use rustix::time::{ClockId, clock_gettime};

/// The codes of the messages.
#[veltix::message]
#[derive(PartialEq, Eq)]
pub(crate) enum Code {
    /// The answer has the same body.
    Echo = 200,
    /// There is no answer.
    Sink = 201,
    /// The handler panics.
    Panic = 202,
    /// The handler panics on a thread for blocking handlers.
    PanicBlocking = 203,
    /// The answer has the same body and comes from a thread for blocking handlers.
    EchoBlocking = 204,
    /// The handler never returns.
    Hang = 205,
    /// The handler would never return, and has a time limit of half a second.
    HangBriefly = 206,
    /// The sender gets two tags. The answer has an empty body.
    Tag = 207,
    /// The first message of the server, with the number of the connection.
    Welcome = 210,
    /// A message that the server publishes.
    News = 211,
}

/// The start of the body of a numbered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The sender of the stream.
    pub(crate) stream: u64,
    /// The number in the stream.
    pub(crate) number: u64,
    /// The time of sending, by [`now`].
    pub(crate) sent_at: u64,
}

impl Line {
    /// The bytes of a body that contains nothing else.
    pub(crate) const LEN: usize = 24;

    /// Returns the next line of a stream, sent now.
    pub(crate) fn new(stream: u64, number: u64) -> Self {
        Self { stream, number, sent_at: now() }
    }

    /// Returns a body of `len` bytes, but at least those of the line.
    pub(crate) fn body(self, len: usize) -> Bytes {
        let mut body = BytesMut::with_capacity(len.max(Self::LEN));
        body.put_u64(self.stream);
        body.put_u64(self.number);
        body.put_u64(self.sent_at);
        body.resize(len.max(Self::LEN), b'x');
        body.freeze()
    }

    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let (words, _) = body.get(..Self::LEN)?.as_chunks::<8>();
        let [stream, number, sent_at] = [0, 1, 2].map(|at: usize| u64::from_be_bytes(words[at]));
        Some(Self { stream, number, sent_at })
    }
}

/// Returns the nanoseconds of the clock that all processes of this machine share.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_same_on_the_other_side() {
        let line = Line::new(7, u64::MAX);
        for len in [0, Line::LEN, 4_096] {
            assert_eq!(Line::read(&line.body(len)), Some(line));
            assert_eq!(line.body(len).len(), len.max(Line::LEN));
        }
        assert_eq!(Line::read(&[0; Line::LEN - 1]), None);
    }
}
