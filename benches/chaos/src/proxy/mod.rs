//! A proxy that gives a fate to each connection: it delays, slices, throttles, resets, cuts or
//! drops.

mod fate;
mod pipe;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

#[cfg(test)]
use self::fate::Shape;
pub(crate) use self::fate::{End, Fate};
use self::pipe::pipe;

/// A proxy in front of one server. It ends when this handle is dropped.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    addr: SocketAddr,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
    /// Once set, new connections pass unharmed, and existing ones are closed.
    calm: watch::Sender<bool>,
}

impl FaultProxy {
    /// Starts a proxy. The fate of a connection depends only on the seed and on the connection's
    /// number.
    pub(crate) async fn start(
        server: SocketAddr,
        seed: u64,
        fate: fn(&mut fastrand::Rng) -> Fate,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let connections = Arc::<AtomicU64>::default();
        let calm = watch::Sender::new(false);
        let number = Arc::clone(&connections);
        let calmed = calm.subscribe();
        let task = tokio::spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while links.try_join_next().is_some() {}
                let number = number.fetch_add(1, Ordering::Relaxed);
                let fate = if *calmed.borrow() { Fate::UNHARMED } else { draw(seed, number, fate) };
                links.spawn(link(client, server, fate, calmed.clone()));
            }
        });
        Ok(Self { addr, connections, task, calm })
    }

    /// Returns the address of the proxy.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes all connections. Later ones pass unharmed.
    pub(crate) fn calm(&self) {
        self.calm.send_replace(true);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the fate of the connection with this number.
fn draw(seed: u64, number: u64, fate: fn(&mut fastrand::Rng) -> Fate) -> Fate {
    // Neighbouring seeds must have nothing in common.
    let mut mixed = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    fate(&mut mixed)
}

/// Runs one connection through the proxy from its start to its end.
async fn link(mut client: TcpStream, server: SocketAddr, fate: Fate, calm: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let harmed = fate != Fate::UNHARMED;
    {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let both = async {
            tokio::join!(
                pipe(&mut from_client, &mut to_server, fate.up),
                pipe(&mut from_server, &mut to_client, fate.down),
            )
        };
        tokio::select! {
            _ = both => return,
            () = fate.end_comes() => {}
            () = calmed(calm.clone()), if harmed => {}
        }
    }
    match fate.end {
        End::Swallowed { held, .. } => {
            // Both sockets stay open, and nothing passes.
            tokio::select! {
                () = sleep(held) => {}
                () = calmed(calm) => {}
            }
            reset(&client);
            reset(&server);
        }
        End::Cut { .. } => {}
        End::Reset { .. } | End::Never => {
            reset(&client);
            reset(&server);
        }
    }
}

/// Makes a socket send a reset when it is closed.
fn reset(socket: &TcpStream) {
    // If this fails, the socket is closed without a reset.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

async fn calmed(mut calm: watch::Receiver<bool>) {
    // If the proxy has been dropped, its connections end soon.
    let _ = calm.wait_for(|calm| *calm).await;
}
