//! The wire format of a handshake message: its length and its JSON.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

use crate::error::HandshakeError;
use crate::limits::MAX_HANDSHAKE_LEN;
use crate::proxy::ProxyHeader;

/// Is the value that the first two bytes of a frame have as a length field.
const LENGTH_OF_A_FRAME: usize = 0x5658;

/// Is the reason for which a Python client raises its `ServerFullError`.
pub(super) const SERVER_FULL: &str = "server_full";

/// Takes one handshake message off the buffer and passes its JSON to `read`. The length is checked
/// before the bytes have arrived.
pub(super) fn take_message<T>(
    buffer: &mut BytesMut,
    read: impl FnOnce(&[u8]) -> Result<T, HandshakeError>,
) -> Result<Option<T>, HandshakeError> {
    let Some(&prefix) = buffer.first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(prefix));
    if length == LENGTH_OF_A_FRAME {
        return Err(HandshakeError::FrameBeforeHandshake);
    }
    // Before any rule on the third byte: the result must not depend on how the bytes arrive.
    if length == 0 || length > MAX_HANDSHAKE_LEN {
        return Err(HandshakeError::BadLength { length, limit: MAX_HANDSHAKE_LEN });
    }
    if is_tls(buffer) {
        return Err(HandshakeError::Tls);
    }
    if ProxyHeader::begins(buffer) {
        return Err(HandshakeError::ProxyHeader);
    }
    if let Some(protocol) = foreign(buffer) {
        return Err(HandshakeError::NotVeltix { protocol });
    }
    let Some(json) = buffer.get(2..2 + length) else { return Ok(None) };
    let read = read(json);
    buffer.advance(2 + length);
    read.map(Some)
}

/// Returns whether the bytes begin a TLS record: a handshake (22) or an alert (21), then the
/// version 3.0 to 3.4. The first two bytes could be a length, but no JSON begins with a byte below
/// 5.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [21 | 22, 3, 0..=4, ..])
}

/// Returns the protocol of a peer whose first three bytes cannot begin a handshake: two printable
/// characters, which would be a length of more than 8 KiB, and no beginning of JSON behind them.
/// Otherwise this side would wait for the rest of that length.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let &[first, second, third] = bytes.first_chunk::<3>()?;
    if !first.is_ascii_graphic() || !second.is_ascii_graphic() {
        return None;
    }
    match &[first, second, third] {
        // A response, the methods of requests, and the preface of HTTP/2.
        b"HTT" | b"GET" | b"POS" | b"PUT" | b"HEA" | b"OPT" | b"DEL" | b"PAT" | b"CON" | b"TRA"
        | b"PRI" => Some("HTTP"),
        b"SSH" => Some("SSH"),
        b"220" => Some("SMTP or FTP"),
        // The last ones begin text in UTF-16, a byte order mark, or bytes that are not UTF-8.
        _ => match third {
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => None,
            b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x80.. => None,
            _ => Some("another protocol"),
        },
    }
}

pub(super) fn parse_object(json: &[u8]) -> Result<Map<String, Value>, HandshakeError> {
    // Python's parser accepts a byte order mark, so a peer may send one.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    serde_json::from_slice(json).map_err(|_| HandshakeError::NotAnObject)
}

pub(super) fn framed(json: &[u8]) -> Bytes {
    debug_assert!(json.len() <= MAX_HANDSHAKE_LEN, "our own handshake messages are short");
    // One length means a frame. A space after the JSON changes the length and nothing else.
    let padding: &[u8] = if json.len() == LENGTH_OF_A_FRAME { b" " } else { b"" };
    let length = json.len() + padding.len();
    let mut bytes = BytesMut::with_capacity(2 + length);
    bytes.put_u16(length as u16);
    bytes.put_slice(json);
    bytes.put_slice(padding);
    bytes.freeze()
}
