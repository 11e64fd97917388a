//! [`RawPeer`]: a peer of the server that consists of a socket and the core's decoder. It counts
//! its decoded messages itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use veltix_core::{ClientHandshake, ClientStep, Frame, FrameDecoder, Message, RequestId};

use crate::accounts::Seen;
use crate::order::Order;
use crate::wire::{Code, Line};

/// The id of every message of a peer. It is an id of a call, so that the server answers as to a
/// call.
const ID: RequestId = RequestId::new(1);

/// The size of the largest message that is decoded.
const LARGEST: usize = 16 << 20;

/// A connected peer.
#[derive(Debug)]
pub(crate) struct RawPeer {
    pub(crate) reader: RawReader,
    pub(crate) writer: RawWriter,
}

/// The reading half of a peer.
#[derive(Debug)]
pub(crate) struct RawReader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
    decoder: FrameDecoder,
    id: u64,
    decoded: u64,
    read_all: bool,
    order: Order,
}

/// The writing half of a peer.
#[derive(Debug)]
pub(crate) struct RawWriter {
    stream: OwnedWriteHalf,
    sent: u64,
    sent_all: bool,
}

impl RawPeer {
    /// Connects, performs the handshake and receives the number of the connection.
    pub(crate) async fn join(addr: SocketAddr) -> io::Result<Self> {
        Self::join_over(TcpStream::connect(addr).await?).await
    }

    /// Connects from another address of this machine. Each address has its own ports.
    pub(crate) async fn join_from(from: Ipv4Addr, addr: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((IpAddr::from(from), 0)))?;
        Self::join_over(socket.connect(addr).await?).await
    }

    async fn join_over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let (stream, writer) = stream.into_split();
        let mut peer = Self {
            reader: RawReader {
                stream,
                buffer: BytesMut::new(),
                decoder: FrameDecoder::new(LARGEST),
                id: 0,
                decoded: 0,
                read_all: false,
                order: Order::default(),
            },
            writer: RawWriter { stream: writer, sent: 0, sent_all: false },
        };
        peer.shake_hands().await?;
        let welcome = peer.reader.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let number = welcome.body().as_ref().try_into().map(u64::from_be_bytes);
        peer.reader.id = number.map_err(io::Error::other)?;
        Ok(peer)
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        let mut handshake = ClientHandshake::new();
        loop {
            let step = handshake.receive(&mut self.reader.buffer).map_err(io::Error::other)?;
            match step {
                ClientStep::Done(_) => return Ok(()),
                ClientStep::Send(bytes) => self.writer.stream.write_all(&bytes).await?,
                ClientStep::Wait => {
                    if self.reader.stream.read_buf(&mut self.reader.buffer).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    /// Returns the number that the server gave to the connection.
    pub(crate) const fn id(&self) -> u64 {
        self.reader.id
    }

    /// Sends a message and waits for its answer. Messages before the answer are recorded and
    /// skipped.
    pub(crate) async fn ask(&mut self, code: Code, body: Bytes) -> io::Result<Message> {
        self.writer.send(code, body).await?;
        loop {
            let message = self.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if message.code() == code.code() {
                return Ok(message);
            }
        }
    }

    /// Returns the next message, or `None` at the end of the stream. Pings are answered and
    /// skipped.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            let Some(message) = self.reader.next().await? else { return Ok(None) };
            if message.code() != veltix::PING.code() {
                return Ok(Some(message));
            }
            self.writer.answer(&message).await?;
        }
    }

    /// Reads, and answers pings, until the stream ends or breaks.
    pub(crate) async fn listen(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    /// Ends the writing half, reads the rest and returns the observations.
    pub(crate) async fn leave(mut self) -> Seen {
        self.writer.end().await;
        self.listen().await;
        self.seen()
    }

    /// Resets the connection and returns the observations.
    pub(crate) fn reset(self) -> Seen {
        // If this fails, the connection is closed anyway when it is dropped.
        let _ = SockRef::from(self.writer.stream.as_ref()).set_linger(Some(Duration::ZERO));
        self.seen()
    }

    /// Returns the observations so far.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            id: self.reader.id,
            decoded: self.reader.decoded,
            sent: self.writer.sent,
            read_all: self.reader.read_all,
            sent_all: self.writer.sent_all,
            order: self.reader.order.faults(),
            own: None,
        }
    }

    /// Closes the socket at once. All received bytes must have been read before, since the system
    /// would send a reset otherwise.
    pub(crate) fn hang_up(self) -> Seen {
        Seen { sent_all: true, ..self.seen() }
    }
}

impl RawReader {
    /// Returns the next message, including pings, or `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) =
                self.decoder.decode(&mut self.buffer).map_err(io::Error::other)?
            {
                self.decoded += 1;
                if message.code() == Code::News.code()
                    && let Some(line) = Line::read(message.body())
                {
                    self.order.take(line);
                }
                return Ok(Some(message));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                self.decoder.end(&self.buffer).map_err(io::Error::other)?;
                self.read_all = true;
                return Ok(None);
            }
        }
    }
}

impl RawWriter {
    /// Sends a message and waits until the socket accepts it.
    pub(crate) async fn send(&mut self, code: Code, body: Bytes) -> io::Result<()> {
        let bytes = frame(code, body);
        self.sent += 1;
        self.stream.write_all(&bytes).await
    }

    /// Sends many messages with as few writes as possible.
    pub(crate) async fn send_all(
        &mut self,
        messages: impl IntoIterator<Item = (Code, Bytes)>,
    ) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        for (code, body) in messages {
            bytes.extend_from_slice(&frame(code, body));
            self.sent += 1;
        }
        self.stream.write_all(&bytes).await
    }

    /// Sends only the first bytes of a message.
    pub(crate) async fn begin(&mut self, code: Code, body: Bytes) -> io::Result<()> {
        let bytes = frame(code, body);
        self.stream.write_all(&bytes[..bytes.len() - 1]).await
    }

    async fn answer(&mut self, ping: &Message) -> io::Result<()> {
        if self.sent_all {
            return Ok(());
        }
        let mut bytes = BytesMut::new();
        Frame::new(veltix::PONG.code(), ping.id(), Bytes::new()).write_to(&mut bytes);
        self.sent += 1;
        self.stream.write_all(&bytes).await
    }

    /// Ends the writing half of the stream.
    pub(crate) async fn end(&mut self) {
        self.sent_all = self.stream.shutdown().await.is_ok();
    }
}

fn frame(code: Code, body: Bytes) -> BytesMut {
    let mut bytes = BytesMut::new();
    Frame::new(code.code(), ID, body).write_to(&mut bytes);
    bytes
}
