//! Many connections that are polled together.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use super::link::Link;
use super::{SILENCE, silent};
use crate::socket::Socket;

/// The size of one read.
const SCRATCH: usize = 256 * 1024;

/// The links, by number.
#[derive(Debug)]
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    pub(super) links: Vec<Link>,
    pub(super) scratch: Vec<u8>,
}

impl Crowd {
    pub(super) fn new(streams: impl IntoIterator<Item = Socket>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut links = Vec::new();
        for (number, stream) in streams.into_iter().enumerate() {
            let mut link = Link::new(stream)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(link.stream(), Token(number), interest)?;
            links.push(link);
        }
        Ok(Self { poll, events: Events::with_capacity(1024), links, scratch: vec![0; SCRATCH] })
    }

    /// Waits until some links are ready and calls `ready` for each of them. Silence for too long is
    /// an error.
    pub(super) fn turn(
        &mut self,
        ready: impl FnMut(&mut Link, &mut [u8], &Event) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.turn_within(SILENCE, ready)? { Ok(()) } else { Err(silent()) }
    }

    /// Polls as [`turn`](Self::turn) does, but does not wait if the caller is busy.
    pub(super) fn turn_within_silence(
        &mut self,
        is_busy: bool,
        ready: impl FnMut(&mut Link, &mut [u8], &Event) -> io::Result<()>,
    ) -> io::Result<()> {
        let timeout = if is_busy { Duration::ZERO } else { SILENCE };
        if self.turn_within(timeout, ready)? || is_busy { Ok(()) } else { Err(silent()) }
    }

    /// Polls as [`turn`](Self::turn) does, but returns `false` if no link is ready within this
    /// time.
    pub(super) fn turn_within(
        &mut self,
        timeout: Duration,
        mut ready: impl FnMut(&mut Link, &mut [u8], &Event) -> io::Result<()>,
    ) -> io::Result<bool> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            ready(&mut self.links[event.token().0], &mut self.scratch, event)?;
        }
        Ok(!self.events.is_empty())
    }
}
