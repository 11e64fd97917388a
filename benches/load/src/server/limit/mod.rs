//! The limit of the machine: as little as possible between the sockets, on raw Tokio.
//!
//! It has two workers and one task for each connection. A task reads into a scratch buffer of its
//! thread, so an idle connection holds none. Frames are checked and handled in place. The answers
//! to one read are one write, and all publishes of one read are one write to each other socket. The
//! limit has none of the parts that make a server usable: no deadlines, policies, counters or
//! events.

mod connection;
mod frames;
mod room;
mod tls;

use std::future::poll_fn;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::{ServerConfig, ServerConnection};
use tokio::net::{TcpListener, TcpStream};
use veltix_core::ServerHandshake;

use self::connection::{Connection, Reader};
pub(crate) use self::frames::Batch;
use self::room::{Member, Room};
use super::{announce, run_on_two_workers};

/// The receivers of broadcasts.
#[derive(Default)]
struct Rooms {
    all: Room,
    tagged: Room,
}

/// Serves over TLS if `tls` is given.
pub(super) fn serve(tls: Option<Arc<ServerConfig>>) {
    run_on_two_workers(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        announce(listener.local_addr().expect("it is bound"));
        let rooms = Arc::new(Rooms::default());
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            tokio::spawn(begin(stream, tls.clone(), Arc::clone(&rooms)));
        }
    });
}

/// Runs the handshake. The connection then goes on as a smaller task.
async fn begin(stream: TcpStream, tls: Option<Arc<ServerConfig>>, rooms: Arc<Rooms>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let keys = match tls {
        None => None,
        Some(config) => {
            Some(tls::handshake(&stream, ServerConnection::new(config).ok()?).await.ok()?)
        }
    };
    let (reader, writer) = stream.into_split();
    let (mut reader, member) = (Reader::new(reader), Member::new(writer, keys));
    member.send(&ServerHandshake::hello());
    let mut handshake = ServerHandshake::new();
    let (mut buffer, mut piece) = (BytesMut::new(), [0; 1024]);
    while handshake.receive(&mut buffer).ok()?.is_none() {
        let read = poll_fn(|cx| reader.poll_read(member.keys(), &mut piece, cx)).await.ok()?;
        buffer.extend_from_slice(&piece[..read]);
    }
    member.send(&ServerHandshake::accepted());
    tokio::spawn(Connection::new(reader, member, &buffer, rooms).ok()?);
    Some(())
}
