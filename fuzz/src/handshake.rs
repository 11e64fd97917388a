//! Target `handshake`: bytes that a peer may send before its first frame, to either side.

use bytes::BytesMut;
use serde_json::Value;
use veltix_core::limits::{LOGGED_CHARS, MAX_HANDSHAKE_LEN};
use veltix_core::text::printable;
use veltix_core::{ClientHandshake, ClientStep, HandshakeError, Hello, ServerHandshake};

/// If set in the first byte, the others are put into messages with correct lengths.
const FRAMED: u8 = 1;

/// More characters than any text of our own has; text of the peer may add to it.
const OUR_WORDS: usize = 256;

/// Sends the bytes to both sides, in one piece and in parts. Both ways must give the same result,
/// nothing may panic, and the text about a peer must be short and safe for a log. The first three
/// bytes select how the others are put into messages and where they are split.
pub fn handshake(data: &[u8]) {
    let Some((&[mode, second, cut], rest)) = data.split_first_chunk::<3>() else { return };
    let stream = match mode & FRAMED {
        0 => rest.to_vec(),
        _ => {
            let at = usize::from(second) * rest.len() / 256;
            [framed(&rest[..at]), framed(&rest[at..])].concat()
        }
    };
    let cut = usize::from(cut) * stream.len() / 256;
    hear_as_server(&stream, cut);
    hear_as_client(&stream, cut);
    let text = String::from_utf8_lossy(rest);
    check_text(&printable(&text).to_string(), LOGGED_CHARS + 1);
    refuse(&text);
}

fn framed(json: &[u8]) -> Vec<u8> {
    let length = u16::try_from(json.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), &json[..usize::from(length)]].concat()
}

fn hear_as_server(stream: &[u8], cut: usize) {
    let mut server = ServerHandshake::new();
    let mut buffer = BytesMut::from(&stream[..cut]);
    let mut heard = server.receive(&mut buffer);
    if heard == Ok(None) {
        assert_eq!(buffer, stream[..cut], "a message is only consumed when it is complete");
        buffer.extend_from_slice(&stream[cut..]);
        heard = server.receive(&mut buffer);
    } else {
        buffer.extend_from_slice(&stream[cut..]);
    }
    let (json, rest) = match first(stream) {
        Ok(Some(message)) => message,
        Ok(None) => return assert_eq!(heard, Ok(None)),
        Err(error) => return assert_eq!(heard, Err(error)),
    };
    assert_eq!(buffer, rest, "the following bytes belong to the first frame");
    assert_eq!(heard, Hello::parse(json).map(Some));
    check_judgement(json, &heard.map(drop));
    if let Ok(hello) = Hello::parse(json) {
        check_hello(&hello);
    }
}

fn hear_as_client(stream: &[u8], cut: usize) {
    let whole = client_steps([stream, b""]);
    assert_eq!(client_steps([&stream[..cut], &stream[cut..]]), whole);
    let (steps, error, rest) = whole;
    match (&steps[..], &error) {
        ([], _) => {}
        ([ClientStep::Send(hello), ..], _) => {
            // The receiver is one of ours, and knows a client of ours.
            let heard = ServerHandshake::new().receive(&mut BytesMut::from(&hello[..]));
            assert_eq!(heard, Ok(Some(Hello::ours())));
        }
        steps => panic!("{steps:?}"),
    }
    if let Some(error) = &error {
        check_error(error);
    }
    if let Some(ClientStep::Done(server)) = steps.last() {
        check_hello(server);
        assert_eq!((steps.len(), error), (2, None));
        let behind = first(stream).ok().flatten().map(|(_, behind)| behind).expect("a hello");
        let behind = first(behind).ok().flatten().map(|(_, behind)| behind).expect("an ack");
        assert_eq!(rest, behind, "the following bytes belong to the first frame");
    }
}

/// Returns the result of a client for these bytes: its error, if any, and the remaining bytes.
fn client_steps(parts: [&[u8]; 2]) -> (Vec<ClientStep>, Option<HandshakeError>, BytesMut) {
    let (mut client, mut buffer) = (ClientHandshake::new(), BytesMut::new());
    let (mut steps, mut error, mut done) = (Vec::new(), None, false);
    for part in parts {
        buffer.extend_from_slice(part);
        while !done && error.is_none() {
            match client.receive(&mut buffer) {
                Ok(ClientStep::Wait) => break,
                Ok(step) => {
                    done = matches!(step, ClientStep::Done(_));
                    steps.push(step);
                }
                Err(refused) => error = Some(refused),
            }
        }
    }
    (steps, error, buffer)
}

/// The JSON of a message, and the bytes after it.
type Taken<'a> = (&'a [u8], &'a [u8]);

/// Returns the first message of these bytes, parsed according to PROTOCOL.md alone.
fn first(bytes: &[u8]) -> Result<Option<Taken<'_>>, HandshakeError> {
    let Some((&[high, low], rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(high) * 256 + usize::from(low);
    match (length, rest.first()) {
        (22104, _) => return Err(HandshakeError::FrameBeforeHandshake),
        (0 | 30721.., _) => {
            return Err(HandshakeError::BadLength { length, limit: MAX_HANDSHAKE_LEN });
        }
        // The PROXY protocol. JSON contains no byte 0.
        (0x0d0a, _) if rest.starts_with(b"\r\n\0") => return Err(HandshakeError::ProxyHeader),
        (_, Some(&third)) => begins_a_handshake([high, low, third])?,
        (_, None) => {}
    }
    Ok(rest.split_at_checked(length))
}

/// Refuses the first three bytes of TLS and of other protocols.
fn begins_a_handshake(bytes: [u8; 3]) -> Result<(), HandshakeError> {
    let [high, low, third] = bytes;
    if matches!(bytes, [21 | 22, 3, 0..=4]) {
        return Err(HandshakeError::Tls);
    }
    if !high.is_ascii_graphic() || !low.is_ascii_graphic() {
        return Ok(());
    }
    let is_known = |list: &str| list.split(' ').any(|begin| begin.as_bytes() == bytes);
    // JSON begins with one of these, a byte order mark does not, and neither does UTF-16.
    let may_be_json = third == 0 || third >= 0x80 || b"{[\"-tfn \t\n\r0123456789".contains(&third);
    let protocol = match () {
        () if is_known("HTT GET POS PUT HEA OPT DEL PAT CON TRA PRI") => "HTTP",
        () if is_known("SSH") => "SSH",
        () if is_known("220") => "SMTP or FTP",
        () if !may_be_json => "another protocol",
        () => return Ok(()),
    };
    Err(HandshakeError::NotVeltix { protocol })
}

/// Checks that a hello is accepted if its `pv` is right, and otherwise refused for the right
/// reason.
fn check_judgement(json: &[u8], judged: &Result<(), HandshakeError>) {
    let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
    let expected = match serde_json::from_slice::<Value>(json) {
        Ok(Value::Object(object)) => object.get("pv").and_then(Value::as_str).is_some_and(is_ours),
        _ => return assert_eq!(*judged, Err(HandshakeError::NotAnObject)),
    };
    match judged {
        Ok(()) => assert!(expected),
        Err(error @ HandshakeError::IncompatibleVersion { .. }) => {
            assert!(!expected);
            check_error(error);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Reports whether the text is digits, a dot, digits, and the number before the dot is 1.
fn is_ours(version: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    let mut parts = version.split('.');
    let (Some(major), Some(minor), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_one = major.trim_start_matches('0') == "1";
    is_one && digits(minor) && !minor.is_empty()
}

/// Checks that a hello, which is kept as long as its peer, is small for any content.
fn check_hello(hello: &Hello) {
    assert!(hello.version().chars().count() <= LOGGED_CHARS);
    check_text(&printable(hello.version()).to_string(), LOGGED_CHARS + 1);
    assert!(Value::Object(hello.meta().clone()).to_string().len() <= 1100);
    assert!(hello.meta().keys().all(|key| key == "veltix" || key == "id_window"));
    let _ = (hello.is_native(), hello.id_window());
}

fn check_error(error: &HandshakeError) {
    check_text(&error.to_string(), OUR_WORDS + LOGGED_CHARS + 1);
    let theirs = match error {
        HandshakeError::IncompatibleVersion { theirs } => theirs,
        HandshakeError::Refused { reason } => reason,
        _ => return,
    };
    check_text(theirs, LOGGED_CHARS + 1);
}

/// Checks that a text is one short line of visible characters.
fn check_text(text: &str, most: usize) {
    assert!(text.chars().count() <= most, "{text}");
    let hidden = |char: char| {
        char.is_control()
            || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}')
    };
    assert!(!text.contains(hidden), "{text:?}");
}

/// Checks that a server may refuse for any reason, and that a client receives the reason.
fn refuse(reason: &str) {
    let refusal = ServerHandshake::refused(reason);
    assert!(refusal.len() <= 2 + MAX_HANDSHAKE_LEN);
    let heard = ClientHandshake::new().receive(&mut BytesMut::from(&refusal[..]));
    match heard {
        Err(HandshakeError::ServerFull) => assert_eq!(reason, "server_full"),
        Err(HandshakeError::Refused { reason: heard }) => {
            let said: String = reason.chars().take(LOGGED_CHARS).collect();
            assert_eq!(heard, printable(&said).to_string());
        }
        heard => panic!("{heard:?}"),
    }
}
