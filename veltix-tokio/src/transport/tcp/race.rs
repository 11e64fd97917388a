//! [`race`]: connects to several addresses, one after the other, until one is connected (RFC 8305).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};
use veltix_core::limits::CONNECT_STAGGER;

/// Connects to the addresses in their order. The next address is tried after a pause, or as soon as
/// an earlier one has failed, while the earlier ones go on. The first connection wins, and the
/// others are dropped. The caller sets the deadline.
///
/// # Errors
/// All errors with their addresses, if no address could be connected.
pub(super) async fn race<S, Fut>(
    addrs: Vec<SocketAddr>,
    mut connect: impl FnMut(SocketAddr) -> Fut,
) -> Result<(SocketAddr, S), Vec<(SocketAddr, io::Error)>>
where
    Fut: Future<Output = io::Result<S>>,
{
    let mut next = addrs.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    let mut pause = pin!(sleep(CONNECT_STAGGER));
    loop {
        if let Some(addr) = next.next() {
            let connecting = connect(addr);
            running.push(async move { (addr, connecting.await) });
            pause.as_mut().reset(Instant::now() + CONNECT_STAGGER);
        }
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                Some((addr, Ok(connected))) => return Ok((addr, connected)),
                Some((addr, Err(error))) => failed.push((addr, error)),
                None => return Err(failed),
            },
            () = &mut pause, if next.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The fate of a connection attempt.
    #[derive(Clone, Copy)]
    enum Fate {
        Connects(u32),
        Fails(u32),
        Dropped,
    }
    use Fate::{Connects, Dropped, Fails};

    /// Runs a race between addresses with these fates. Returns the number of the winner, the times in
    /// milliseconds at which the attempts began, and the time of the end.
    async fn run(fates: &[Fate]) -> (Result<u16, usize>, Vec<u128>, u128) {
        let begun = Instant::now();
        let starts = RefCell::new(Vec::new());
        let addrs: Vec<_> =
            (0..fates.len()).map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16))).collect();
        let connect = |addr: SocketAddr| {
            starts.borrow_mut().push(begun.elapsed().as_millis());
            let fate = fates[usize::from(addr.port())];
            async move {
                match fate {
                    Connects(after) => sleep(after * MS).await,
                    Fails(after) => {
                        sleep(after * MS).await;
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                    Dropped => pending().await,
                }
                Ok(())
            }
        };
        let end = timeout(Duration::from_secs(5), race(addrs, connect)).await;
        let winner = match end {
            Ok(Ok((addr, ()))) => Ok(addr.port()),
            Ok(Err(failed)) => Err(failed.len()),
            Err(_) => Err(usize::MAX),
        };
        let took = begun.elapsed().as_millis();
        (winner, starts.into_inner(), took)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_starts_after_the_pause_or_the_failure_of_an_earlier_one() {
        for (fates, winner, starts, took) in [
            (&[Connects(10), Connects(0)][..], Ok(0), &[0][..], 10),
            (&[Dropped, Connects(20)], Ok(1), &[0, 250], 270),
            (&[Fails(5), Connects(20)], Ok(1), &[0, 5], 25),
            (&[Dropped, Dropped, Connects(0)], Ok(2), &[0, 250, 500], 500),
            // The pause begins anew with each start.
            (&[Fails(100), Dropped, Connects(1)], Ok(2), &[0, 100, 350], 351),
            // An earlier attempt goes on and may win.
            (&[Connects(300), Connects(100)], Ok(0), &[0, 250], 300),
            // Any earlier failure starts the next one at once.
            (&[Fails(300), Dropped, Connects(1)], Ok(2), &[0, 250, 300], 301),
            (&[Fails(1), Fails(2), Fails(3)], Err(3), &[0, 1, 3], 6),
            (&[Fails(400), Fails(1)], Err(2), &[0, 250], 400),
            (&[Dropped, Fails(1)], Err(usize::MAX), &[0, 250], 5_000),
            (&[], Err(0), &[], 0),
        ] {
            let happened = run(fates).await;
            assert_eq!(happened, (winner, starts.to_vec(), took));
        }
    }
}
