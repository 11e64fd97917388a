//! What the peers and the server of all scenarios say to each other.

use bytes::{BufMut, Bytes, BytesMut};
use rustix::time::{ClockId, clock_gettime};

/// The codes.
#[veltix::message]
#[derive(PartialEq, Eq)]
pub(crate) enum Code {
    /// Answered with the same body.
    Echo = 200,
    /// Taken, and nothing else.
    Sink = 201,
    /// Its handler panics.
    Panic = 202,
    /// Its handler panics on a thread for blocking handlers.
    PanicBlocking = 203,
    /// Answered with the same body, by a thread for blocking handlers.
    EchoBlocking = 204,
    /// Its handler never returns.
    Hang = 205,
    /// Its handler would never return, and has half a second.
    HangBriefly = 206,
    /// Gives the sender two tags; answered with an empty body.
    Tag = 207,
    /// What the server says first: the number of the connection.
    Welcome = 210,
    /// What the server publishes.
    News = 211,
}

/// What the body of a numbered message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who numbers.
    pub(crate) stream: u64,
    /// Its number in the stream.
    pub(crate) number: u64,
    /// When it was sent, by [`now`].
    pub(crate) sent_at: u64,
}

impl Line {
    /// Bytes of a body that is nothing else.
    pub(crate) const LEN: usize = 24;

    /// The next line of a stream, sent now.
    pub(crate) fn new(stream: u64, number: u64) -> Self {
        Self { stream, number, sent_at: now() }
    }

    /// A body of so many bytes, but at least those of the line.
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

/// Nanoseconds of the clock that all processes of this machine share.
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
