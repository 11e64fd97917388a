//! Target `proxy_head`: bytes with which a connection from a load balancer may begin.

use std::net::SocketAddr;

use veltix_core::limits::LOGGED_CHARS;
use veltix_core::{ProxyClient, ProxyError, ProxyHeader, ProxyStep};

/// If set in the first byte, the others stand behind the signature, and a length is written for them.
const SIGNED: u8 = 1;

const SIGNATURE: [u8; 12] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];

/// Reads a header in one piece and byte by byte. Both ways must give the same result, which is also that of a
/// second parser, and nothing may panic. The first byte selects how the others are put into a header.
pub fn proxy_head(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else { return };
    let stream = match (mode & SIGNED, rest) {
        (0, _) => rest.to_vec(),
        (_, [command, family, block @ ..]) => {
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX).to_be_bytes();
            [&SIGNATURE[..], &[*command, *family], &length, block].concat()
        }
        _ => SIGNATURE.to_vec(),
    };
    let whole = ProxyHeader::read(&stream);
    assert_eq!(whole.as_ref().map(told).map_err(Clone::clone), reference(&stream));
    if let Err(error) = &whole {
        let text = error.to_string();
        assert!(text.len() <= LOGGED_CHARS && !text.contains(char::is_control), "{text}");
    }
    assert_eq!(by_requested_bytes(&stream), whole);
    let mut length = 0;
    // The first result that does not ask for more is the last one.
    let first = loop {
        match ProxyHeader::read(&stream[..length]) {
            Ok(ProxyStep::Wait { until }) => assert!(until > length && until <= 536, "{until}"),
            decided => break decided,
        }
        if length == stream.len() {
            break ProxyHeader::read(&stream);
        }
        length += 1;
    };
    assert_eq!(first, whole);
    if let Ok(ProxyStep::Done(header)) = &first {
        assert_eq!(header.length(), length, "no byte behind the header is needed");
    }
}

/// Reads as a server does: never beyond the number of bytes for which the parser asks, so that all bytes behind
/// the header stay where they are.
fn by_requested_bytes(stream: &[u8]) -> Result<ProxyStep, ProxyError> {
    let mut length = 0;
    loop {
        match ProxyHeader::read(&stream[..length])? {
            ProxyStep::Wait { until } if length < stream.len() => length = until.min(stream.len()),
            step => return Ok(step),
        }
    }
}

/// A header: its length and its client.
type Told = (usize, ProxyClient);

fn told(step: &ProxyStep) -> Option<Told> {
    match step {
        ProxyStep::Wait { .. } => None,
        ProxyStep::Done(header) => Some((header.length(), header.clone().into_client())),
    }
}

/// Returns the header at the beginning of these bytes, parsed according to the specification alone, or `None` if
/// it is not complete.
fn reference(bytes: &[u8]) -> Result<Option<Told>, ProxyError> {
    for (at, expected) in SIGNATURE.iter().enumerate() {
        match bytes.get(at) {
            Some(byte) if byte == expected => {}
            Some(_) if bytes.starts_with(b"PROXY") => return Err(ProxyError::Text),
            Some(_) if b"PROXY".starts_with(bytes) => return Ok(None),
            Some(_) => return Err(ProxyError::Missing),
            None => return Ok(None),
        }
    }
    let Some(command) = bytes.get(12) else { return Ok(None) };
    match command {
        0x20 | 0x21 => {}
        0x22..=0x2f => return Err(ProxyError::Command { found: command - 0x20 }),
        _ => return Err(ProxyError::Version { found: command / 16 }),
    }
    let Some(&family) = bytes.get(13) else { return Ok(None) };
    let needed = match (command, family) {
        (0x20, _) | (_, 0) => 0,
        (_, 0x11) => 12,
        (_, 0x21) => 36,
        (_, 0x31) => 216,
        _ => return Err(ProxyError::Family { found: family }),
    };
    let (Some(&high), Some(&low)) = (bytes.get(14), bytes.get(15)) else { return Ok(None) };
    let behind = usize::from(high) * 256 + usize::from(low);
    if behind > 520 {
        return Err(ProxyError::TooLong { length: 16 + behind, limit: 536 });
    }
    if behind < needed {
        return Err(ProxyError::TooShort { length: behind, needed });
    }
    let Some(block) = bytes[16..].get(..behind) else { return Ok(None) };
    if needed == 0 {
        return Ok(Some((16 + behind, ProxyClient::Balancer)));
    }
    let mut at = needed;
    while at < behind {
        let length = match (block.get(at + 1), block.get(at + 2)) {
            (Some(&high), Some(&low)) => usize::from(high) * 256 + usize::from(low),
            _ => return Err(ProxyError::BadField),
        };
        at += 3 + length;
    }
    if at > behind {
        return Err(ProxyError::BadField);
    }
    let port = |at: usize| u16::from(block[at]) * 256 + u16::from(block[at + 1]);
    let client = match family {
        0x11 => {
            let ip: [u8; 4] = block[..4].try_into().expect("four bytes");
            ProxyClient::Tcp(SocketAddr::from((ip, port(8))))
        }
        0x21 => {
            let ip: [u8; 16] = block[..16].try_into().expect("sixteen bytes");
            ProxyClient::Tcp(SocketAddr::from((ip, port(32))))
        }
        _ => {
            let end = block[..108].iter().position(|byte| *byte == 0).unwrap_or(108);
            ProxyClient::Unix(block[..end].into())
        }
    };
    Ok(Some((16 + behind, client)))
}
