//! The limit of the machine: as little as possible between the sockets, on raw Tokio.
//!
//! Two workers; one task for each connection, which reads into a scratch buffer of its thread, so
//! that an idle connection holds none; frames are checked and handled where they lie; the answers
//! to one read are one write, and all publishes of one read are one write to each other socket.
//! It has none of what makes a server bearable: no deadlines, policies, accounts or events.

mod connection;
mod frames;
mod room;

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use veltix_core::ServerHandshake;

use self::connection::Connection;
pub(crate) use self::frames::Batch;
use self::room::Room;
use super::{announce, run_on_two_workers};

/// Whom broadcasts go to.
#[derive(Default)]
struct Rooms {
    all: Room,
    tagged: Room,
}

pub(super) fn serve() {
    run_on_two_workers(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        announce(listener.local_addr().expect("it is bound"));
        let rooms = Arc::new(Rooms::default());
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            tokio::spawn(begin(stream, Arc::clone(&rooms)));
        }
    });
}

/// The handshake; then the connection goes on as a smaller task.
async fn begin(mut stream: TcpStream, rooms: Arc<Rooms>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    stream.write_all(&ServerHandshake::hello()).await.ok()?;
    let mut handshake = ServerHandshake::new();
    let mut buffer = BytesMut::new();
    while handshake.receive(&mut buffer).ok()?.is_none() {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
    stream.write_all(&ServerHandshake::accepted()).await.ok()?;
    tokio::spawn(Connection::new(stream, &buffer, rooms).ok()?);
    Some(())
}
