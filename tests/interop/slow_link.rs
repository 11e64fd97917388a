//! A slow link between two peers: data that is sent at once does not fit the kernel's buffers, for
//! any speed of the receiver.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The number of bytes before each pause: fewer than a kernel transfers while a sender is in one
/// call.
const PIECE: usize = 32 * 1024;

const PAUSE: Duration = Duration::from_millis(1);

/// Opens a port that forwards one connection to another port.
pub(crate) async fn slow_link(to: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.expect("somebody connects");
        let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.expect("somebody listens");
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        // Both ends close when one of them does.
        tokio::select! {
            _ = forward(near_in, far_out) => {}
            _ = forward(far_in, near_out) => {}
        }
    });
    port
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await? {
            0 => return Ok(()),
            read => to.write_all(&piece[..read]).await?,
        }
        sleep(PAUSE).await;
    }
}
