//! [`RawPeer`]: a peer of the server made of a socket and the core's decoder, which counts what it
//! decodes by itself.

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

/// The id of whatever a peer sends: one of a call, so that the server answers it as one.
const ID: RequestId = RequestId::new(1);

/// The largest message that is decoded.
const LARGEST: usize = 16 << 20;

/// A peer that has joined.
#[derive(Debug)]
pub(crate) struct RawPeer {
    pub(crate) reader: RawReader,
    pub(crate) writer: RawWriter,
}

/// What it hears.
#[derive(Debug)]
pub(crate) struct RawReader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
    decoder: FrameDecoder,
    id: u64,
    decoded: u64,
    heard_all: bool,
    order: Order,
}

/// What it says.
#[derive(Debug)]
pub(crate) struct RawWriter {
    stream: OwnedWriteHalf,
    sent: u64,
    said_all: bool,
}

impl RawPeer {
    /// Connects, shakes hands, and hears which number it has.
    pub(crate) async fn join(addr: SocketAddr) -> io::Result<Self> {
        Self::join_over(TcpStream::connect(addr).await?).await
    }

    /// The same from another address of this machine, of which there are many: each has ports of
    /// its own.
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
                heard_all: false,
                order: Order::default(),
            },
            writer: RawWriter { stream: writer, sent: 0, said_all: false },
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

    /// The number that the server gave it.
    pub(crate) const fn id(&self) -> u64 {
        self.reader.id
    }

    /// Sends a message and waits for its answer; what comes in between is taken and passed over.
    pub(crate) async fn ask(&mut self, code: Code, body: Bytes) -> io::Result<Message> {
        self.writer.send(code, body).await?;
        loop {
            let message = self.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if message.code() == code.code() {
                return Ok(message);
            }
        }
    }

    /// The next message, `None` at the end of the stream. Pings are answered, and not given.
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

    /// Ends what it says, hears the rest, and tells what it saw.
    pub(crate) async fn leave(mut self) -> Seen {
        self.writer.end().await;
        self.listen().await;
        self.seen()
    }

    /// Breaks the connection off with a reset, and tells what it saw.
    pub(crate) fn reset(self) -> Seen {
        // Whatever goes wrong here, the connection is broken off when it is dropped.
        let _ = SockRef::from(self.writer.stream.as_ref()).set_linger(Some(Duration::ZERO));
        self.seen()
    }

    /// What it saw so far.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            id: self.reader.id,
            decoded: self.reader.decoded,
            sent: self.writer.sent,
            heard_all: self.reader.heard_all,
            said_all: self.writer.said_all,
            order: self.reader.order.faults(),
            own: None,
        }
    }

    /// Closes the socket at once, when all that came was read, so that the system sends no reset.
    pub(crate) fn hang_up(self) -> Seen {
        Seen { said_all: true, ..self.seen() }
    }
}

impl RawReader {
    /// The next message, pings too; `None` at the end of the stream.
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
                self.heard_all = true;
                return Ok(None);
            }
        }
    }
}

impl RawWriter {
    /// Sends a message, waiting for room.
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

    /// Sends the first bytes of a message and no more.
    pub(crate) async fn begin(&mut self, code: Code, body: Bytes) -> io::Result<()> {
        let bytes = frame(code, body);
        self.stream.write_all(&bytes[..bytes.len() - 1]).await
    }

    async fn answer(&mut self, ping: &Message) -> io::Result<()> {
        if self.said_all {
            return Ok(());
        }
        let mut bytes = BytesMut::new();
        Frame::new(veltix::PONG.code(), ping.id(), Bytes::new()).write_to(&mut bytes);
        self.sent += 1;
        self.stream.write_all(&bytes).await
    }

    /// Ends this side of the stream.
    pub(crate) async fn end(&mut self) {
        self.said_all = self.stream.shutdown().await.is_ok();
    }
}

fn frame(code: Code, body: Bytes) -> BytesMut {
    let mut bytes = BytesMut::new();
    Frame::new(code.code(), ID, body).write_to(&mut bytes);
    bytes
}
