//! The header of a load balancer, before all other bytes of its connection.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use veltix_core::limits::{MAX_PROXY_HEADER_LEN, PROXY_HEADER_PART};
use veltix_core::{ProxyClient, ProxyError, ProxyHeader, ProxyStep};

use super::Failure;
use crate::transport::{PeerAddr, Stream, UnixAddr, is_end};

/// Reads the header, and replaces the address of the stream by that of the client. `limit` is the
/// time of the whole handshake. Returns whether the connection is the load balancer's own, so that
/// the stream keeps its address.
///
/// All bytes behind the header stay in the stream, for TLS or for the handshake.
pub(crate) async fn take_header(stream: &mut Stream, limit: Duration) -> Result<bool, Failure> {
    let mut bytes = [0; MAX_PROXY_HEADER_LEN];
    let mut received = 0;
    let read = timeout(limit / PROXY_HEADER_PART, read(stream, &mut bytes, &mut received)).await;
    let header = match read {
        Ok(header) => header?,
        Err(_) if received == 0 => return Err(ProxyError::Missing.into()),
        Err(_) => return Err(ProxyError::Cut { received }.into()),
    };
    stream.link.addr = match header.into_client() {
        ProxyClient::Balancer => return Ok(true),
        ProxyClient::Tcp(addr) => PeerAddr::Tcp(addr),
        ProxyClient::Unix(path) => {
            // The credentials of the connection are those of the load balancer.
            let path = (!path.is_empty()).then(|| String::from_utf8_lossy(&path).as_ref().into());
            PeerAddr::Unix(UnixAddr::new(path, None))
        }
    };
    Ok(false)
}

async fn read(
    stream: &mut Stream,
    bytes: &mut [u8; MAX_PROXY_HEADER_LEN],
    received: &mut usize,
) -> Result<ProxyHeader, Failure> {
    loop {
        let until = match ProxyHeader::read(&bytes[..*received])? {
            ProxyStep::Done(header) => return Ok(header),
            ProxyStep::Wait { until } => until,
        };
        match stream.reader.read(&mut bytes[*received..until]).await {
            Ok(0) if *received == 0 => return Err(Failure::NoByte),
            Ok(0) => return Err(ProxyError::Cut { received: *received }.into()),
            Ok(read) => *received += read,
            Err(error) if *received == 0 && is_end(&error) => return Err(Failure::NoByte),
            Err(error) => return Err(error.into()),
        }
    }
}
