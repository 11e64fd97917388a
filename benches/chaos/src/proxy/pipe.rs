//! One direction of a connection through the proxy.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::fate::Shape;

/// The size of one read.
const READ: usize = 16 * 1_024;

/// Passes bytes on until the stream ends, and then ends the other stream.
pub(super) async fn pipe(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    shape: Shape,
) -> io::Result<()> {
    let mut bytes = vec![0; READ];
    let mut free_at = Instant::now();
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if !shape.delay.is_zero() {
            sleep(shape.delay).await;
        }
        for piece in bytes[..read].chunks(shape.slice) {
            if let Some(rate) = shape.rate {
                sleep_until(free_at).await;
                let takes = Duration::from_secs_f64(piece.len() as f64 / f64::from(rate));
                free_at = Instant::now() + takes;
            }
            to.write_all(piece).await?;
            if shape.slice < READ {
                // The other side gets a chance to read a part of a header.
                tokio::task::yield_now().await;
            }
        }
    }
}
