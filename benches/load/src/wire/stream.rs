//! Reading the beginning of a connection without the bytes behind it.

use std::io::{self, Read, Write};

use crate::socket::Socket;

/// The longest greeting of a server.
const GREETING: usize = 64 * 1024;

/// Sends a message and reads an answer that is equal to it.
pub(super) fn exchange(stream: &mut Socket, message: &[u8]) -> io::Result<()> {
    stream.write_all(message)?;
    expect(stream, message)
}

/// Reads exactly these bytes.
pub(super) fn expect(stream: &mut Socket, wanted: &[u8]) -> io::Result<()> {
    let mut answer = vec![0; wanted.len()];
    stream.read_exact(&mut answer)?;
    if answer == wanted { Ok(()) } else { Err(unexpected(&answer)) }
}

/// Reads the bytes up to the end of the first `end`, and leaves the bytes behind it, which may be
/// messages.
pub(super) fn read_through(stream: &mut Socket, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut taken = Vec::new();
    let mut piece = [0; 4096];
    while taken.len() < GREETING {
        let before = taken.len();
        let seen = stream.plain()?.peek(&mut piece)?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        taken.extend_from_slice(&piece[..seen]);
        // The end may have begun in an earlier piece.
        let from = before.saturating_sub(end.len() - 1);
        let found = taken[from..].windows(end.len()).position(|window| window == end);
        if let Some(at) = found {
            taken.truncate(from + at + end.len());
        }
        stream.read_exact(&mut piece[..taken.len() - before])?;
        if found.is_some() {
            return Ok(taken);
        }
    }
    Err(unexpected(&taken))
}

/// Returns the error for an unexpected answer of a server.
pub(super) fn unexpected(said: &[u8]) -> io::Error {
    let said = &said[..said.len().min(200)];
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server sent an unexpected answer: {:?}", String::from_utf8_lossy(said)),
    )
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn connect(listener: &TcpListener) -> Socket {
        let addr = listener.local_addr().expect("it is bound");
        Socket::Plain(TcpStream::connect(addr).expect("it listens"))
    }

    #[test]
    fn what_follows_the_end_stays_in_the_stream_however_the_bytes_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        for cut in 1..8 {
            let mut client = connect(&listener);
            let (mut server, _) = listener.accept().expect("accepted");
            server.set_nodelay(true).expect("an option");
            let (first, second) = b"ab\r\n\r\ncd".split_at(cut);
            server.write_all(first).expect("sent");
            let reader = std::thread::spawn(move || {
                let taken = read_through(&mut client, b"\r\n\r\n").expect("the end");
                let mut rest = [0; 2];
                client.read_exact(&mut rest).expect("the rest");
                (taken, rest)
            });
            server.write_all(second).expect("sent");
            let (taken, rest) = reader.join().expect("no panic");
            assert_eq!((&taken[..], &rest), (&b"ab\r\n\r\n"[..], b"cd"));
        }
    }

    #[test]
    fn a_server_that_leaves_before_the_end_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut client = connect(&listener);
        listener.accept().expect("accepted").0.write_all(b"ab\r").expect("sent");
        let error = read_through(&mut client, b"\r\n").expect_err("there is no end");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
