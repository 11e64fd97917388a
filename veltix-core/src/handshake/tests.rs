//! Tests both sides, byte by byte.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::wire::framed;
use super::*;
use crate::limits::{
    LOGGED_CHARS, MAX_DECLARED_TYPES, MAX_HANDSHAKE_LEN, MAX_MESSAGE_SIZE, MAX_TOKEN_LEN,
};
use crate::{Fingerprints, HandshakeError, MessageType, Registry, Token};

fn message(json: &str) -> BytesMut {
    BytesMut::from(&framed(json.as_bytes())[..])
}

fn server_reads(json: &str) -> Result<Option<Hello>, HandshakeError> {
    ServerHandshake::new().receive(&mut message(json))
}

#[test]
fn both_sides_of_ours_agree() {
    let mut client = ClientHandshake::new();
    let mut server = ServerHandshake::new();
    let mut to_client = BytesMut::from(&ServerHandshake::hello()[..]);
    let Ok(ClientStep::Send(hello)) = client.receive(&mut to_client) else { panic!() };
    let mut to_server = BytesMut::from(&hello[..]);
    to_server.extend_from_slice(b"VX");
    let seen = server.receive(&mut to_server).unwrap().unwrap();
    assert!(seen.is_native());
    assert_eq!(&to_server[..], b"VX", "what follows belongs to the first frame");
    assert_eq!(ServerHandshake::accepted(), framed(br#"{"result": "ok"}"#));
    to_client.extend_from_slice(&ServerHandshake::accepted());
    assert_eq!(client.receive(&mut to_client), Ok(ClientStep::Done(Hello::ours())));
}

/// Each side announces the largest message that it accepts, and a Python peer announces nothing.
#[test]
fn both_sides_announce_their_limit() {
    let mut client = ClientHandshake::new().max_message_size(2_000);
    let hello = ServerHandshake::hello_with(1_000, None);
    let mut to_client = BytesMut::from(&hello[..]);
    let Ok(ClientStep::Send(hello)) = client.receive(&mut to_client) else { panic!() };
    let seen = ServerHandshake::new().receive(&mut BytesMut::from(&hello[..])).unwrap().unwrap();
    assert_eq!((seen.max_message_size(), seen.knows_protocol_report()), (Some(2_000), true));
    assert_eq!(client.server().and_then(Hello::max_message_size), Some(1_000));
    assert_eq!(Hello::ours().max_message_size(), Some(MAX_MESSAGE_SIZE));
    for odd in [r#""7""#, "-1", "1.5", "null", "[1]"] {
        let json =
            format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"max_message_size": {odd}}}}}}}"#);
        let hello = server_reads(&json).unwrap().unwrap();
        assert_eq!((hello.max_message_size(), hello.knows_protocol_report()), (None, false));
    }
    let python = server_reads(r#"{"v": "3.3.0", "pv": "1.0", "meta": {}}"#).unwrap().unwrap();
    assert_eq!((python.max_message_size(), python.knows_protocol_report()), (None, false));
}

#[test]
fn a_python_hello_is_read() {
    let json = r#"{"v": "2.0.3", "pv": "1.0", "meta": {"id_window": 30000}, "x": 1}"#;
    let hello = server_reads(json).unwrap().unwrap();
    assert_eq!((hello.version(), hello.id_window()), ("2.0.3", Some(30_000)));
    assert!(!hello.is_native());
    let minimal = server_reads("\u{feff}{\"pv\": \"1.0\"}").unwrap().unwrap();
    assert_eq!(minimal, Hello::default());
    let odd = server_reads(r#"{"pv": "1.0", "v": 3, "meta": "none"}"#).unwrap().unwrap();
    assert_eq!(odd, Hello::default());
}

/// Returns the hello of a client with this token.
fn with_token(token: &Token) -> Bytes {
    let mut client = ClientHandshake::with_token(Some(token.clone()));
    let step = client.receive(&mut BytesMut::from(&ServerHandshake::hello()[..]));
    assert!(!format!("{client:?} {step:?}").contains(token.expose()), "the token is shown");
    let Ok(ClientStep::Send(hello)) = step else { panic!("{step:?}") };
    hello
}

#[test]
fn a_token_reaches_the_server_and_is_not_kept_in_the_hello() {
    // The text has the longest form in JSON. The lengths include each one whose message could have
    // the length that means a frame.
    for length in (1..5).chain(3_600..=MAX_TOKEN_LEN) {
        let token = Token::from("\u{1}".repeat(length));
        let mut bytes = BytesMut::from(&with_token(&token)[..]);
        let read = ServerHandshake::new()
            .receive_with(&mut bytes, |json| Hello::parse_with_token(json, None));
        let (hello, shown) = read.unwrap().expect("it is whole");
        assert!(shown.is_some_and(|shown| shown.is(token.expose())));
        assert_eq!(hello, Hello::ours());
    }
    for odd in ["7", "\"\"", "null", "[\"x\"]"] {
        let odd = format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"token": {odd}, "x": 1}}}}}}"#);
        let (hello, shown) = Hello::parse_with_token(odd.as_bytes(), None).unwrap();
        assert!(shown.is_none(), "{odd}");
        assert_eq!(Value::Object(hello.meta().clone()), json!({"veltix": {"x": 1}}));
    }
}

fn types(names: &[&'static str]) -> Arc<Fingerprints> {
    let mut registry = Registry::new();
    for (code, name) in (200..).zip(names) {
        registry.register(MessageType::new(code, name, "")).unwrap();
    }
    Arc::new(Fingerprints::of(&registry).unwrap())
}

/// Returns the differing codes that each side finds, the server's first.
fn differing(
    server: Option<&Arc<Fingerprints>>,
    client: Option<&Arc<Fingerprints>>,
) -> (Vec<u16>, Vec<u16>) {
    let hello = ServerHandshake::hello_with(MAX_MESSAGE_SIZE, server.map(|types| &**types));
    let mut to_client = BytesMut::from(&hello[..]);
    let mut shaking = ClientHandshake::new().types(client.cloned());
    let Ok(ClientStep::Send(hello)) = shaking.receive(&mut to_client) else { panic!() };
    let read = |json: &[u8]| Hello::parse_with_token(json, server.map(|types| &**types));
    let seen = ServerHandshake::new().receive_with(&mut BytesMut::from(&hello[..]), read);
    let (seen, _) = seen.unwrap().expect("it is whole");
    assert!(!seen.meta().contains_key("types"), "they are not kept");
    to_client.extend_from_slice(&ServerHandshake::accepted());
    let Ok(ClientStep::Done(server)) = shaking.receive(&mut to_client) else { panic!() };
    (seen.differing_types().to_vec(), server.differing_types().to_vec())
}

#[test]
fn r34_both_sides_notice_types_that_differ() {
    let (ours, theirs) = (types(&["chat", "typing"]), types(&["chat", "order", "more"]));
    assert_eq!(differing(Some(&ours), Some(&theirs)), (vec![201], vec![201]));
    assert_eq!(differing(Some(&ours), Some(&ours)), (vec![], vec![]));
    assert_eq!(differing(Some(&ours), None), (vec![], vec![]));
    assert_eq!(differing(None, Some(&theirs)), (vec![], vec![]));
    for odd in [r#""00c9""#, "7", "null", "{}"] {
        let json = format!(r#"{{"pv": "1.0", "meta": {{"types": {odd}}}}}"#);
        let (hello, _) = Hello::parse_with_token(json.as_bytes(), Some(&ours)).unwrap();
        assert!(hello.differing_types().is_empty(), "{odd}");
    }
}

#[test]
fn the_longest_token_and_the_most_types_fit_one_message() {
    let token = Token::from("\u{1}".repeat(MAX_TOKEN_LEN));
    let hello =
        Hello::ours_with(usize::MAX, Some(&token), Some(&types(&["x"; MAX_DECLARED_TYPES])));
    assert!((MAX_HANDSHAKE_LEN - 512..2 + MAX_HANDSHAKE_LEN).contains(&hello.len()));
}

#[test]
fn a_large_meta_is_not_kept() {
    let zeros = "0,".repeat(10_000);
    let json = format!(
        r#"{{"pv": "1.0", "v": "{}", "meta": {{"a": [{zeros}0], "veltix": {{"b": "{}"}}}}}}"#,
        "9".repeat(500),
        "c".repeat(2_000),
    );
    let hello = server_reads(&json).unwrap().unwrap();
    assert!(hello.is_native());
    assert_eq!(Value::Object(hello.meta().clone()), json!({"veltix": {}}));
    assert_eq!(hello.version().len(), LOGGED_CHARS);
}

#[test]
fn bad_messages_are_told_apart() {
    let version = |json| match server_reads(json) {
        Err(HandshakeError::IncompatibleVersion { theirs }) => theirs,
        other => panic!("{json}: {other:?}"),
    };
    assert_eq!(version("{}"), "");
    assert_eq!(version(r#"{"pv": "2.0"}"#), "2.0");
    assert_eq!(version(r#"{"pv": 1}"#), "1");
    assert_eq!(version("{\"pv\": \"1\\u001b[0m\"}"), r"1\u{1b}[0m");
    for json in ["[1]", "nope", "\"1.0\"", "{} x", &"[".repeat(10_000)] {
        assert_eq!(server_reads(json), Err(HandshakeError::NotAnObject), "{json:.20}");
    }
    let length = |bytes: &[u8]| ServerHandshake::new().receive(&mut BytesMut::from(bytes));
    let refused = |length| Err(HandshakeError::BadLength { length, limit: 30_720 });
    assert_eq!(length(b"\x00\x00"), refused(0));
    assert_eq!(length(b"\x78\x01"), refused(30_721), "from the length alone");
    assert_eq!(length(b"\x78\x00"), Ok(None));
    assert_eq!(length(b"VX"), Err(HandshakeError::FrameBeforeHandshake));
    assert_eq!(length(b"\x16\x03\x01"), Err(HandshakeError::Tls), "a ClientHello");
    assert_eq!(length(b"\x15\x03\x03\x00\x02\x02\x46"), Err(HandshakeError::Tls), "an alert");
    assert_eq!(length(b"\r\n\r\n\0"), Err(HandshakeError::ProxyHeader));
    assert_eq!(length(b"\r\n\r\n"), Ok(None), "it could be the beginning of a hello");
    // A message of 5 635 bytes begins with the same two bytes.
    assert_eq!(length(b"\x16\x03{"), Ok(None));
    assert_eq!(length(b"\x16\x03"), Ok(None));
}

#[test]
fn other_protocols_are_named_by_their_first_bytes() {
    let both = |bytes: &[u8]| {
        let server = ServerHandshake::new().receive(&mut BytesMut::from(bytes)).map(|_| ());
        let client = ClientHandshake::new().receive(&mut BytesMut::from(bytes)).map(|_| ());
        assert_eq!(server, client);
        server
    };
    for (bytes, protocol) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        ("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "HTTP"),
        ("POST /messages HTTP/1.1\r\n", "HTTP"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        ("CONNECT example.org:443 HTTP/1.1\r\n", "HTTP"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        ("220 mail.example.org ESMTP\r\n", "SMTP or FTP"),
        ("220-FTP\r\n", "SMTP or FTP"),
        ("EHLO example.org\r\n", "another protocol"),
        ("CAP LS 302\r\n", "another protocol"),
    ] {
        // The third byte is enough, however the bytes arrive.
        let expected = Err(HandshakeError::NotVeltix { protocol });
        for length in 3..=bytes.len() {
            assert_eq!(both(&bytes.as_bytes()[..length]), expected, "{bytes} {length}");
        }
        assert_eq!(both(&bytes.as_bytes()[..2]), Ok(()), "{bytes}");
    }
    // Long hellos may have a length of two printable characters.
    for json in ["{", " {", "\u{feff}{", "[", "nope", "\"", "-1", "\r\n{"] {
        assert_eq!(both(format!("!~{json}").as_bytes()), Ok(()), "{json}");
    }
    // A short message in a wrong form is one of a peer that knows the frame.
    let framed = both(&message("GET / HTTP/1.1"));
    assert_eq!(framed, Err(HandshakeError::NotAnObject));
}

#[test]
fn a_long_reason_is_cut_to_what_a_peer_accepts() {
    let mut bytes = BytesMut::from(&ServerHandshake::refused(&"\u{1}".repeat(70_000))[..]);
    let refused = ClientHandshake::new().receive(&mut bytes);
    assert!(matches!(refused, Err(HandshakeError::Refused { .. })), "{refused:?}");
}

#[test]
fn a_client_tells_refusals_apart() {
    let first = |json| ClientHandshake::new().receive(&mut message(json));
    assert_eq!(first(r#"{"error": "server_full"}"#), Err(HandshakeError::ServerFull));
    let refused = |reason: &str| Err(HandshakeError::Refused { reason: reason.to_owned() });
    assert_eq!(first(r#"{"error": "banned", "pv": "1.0"}"#), refused("banned"));
    assert_eq!(first(r#"{"error": null}"#), refused("null"));
    let mut both = message(r#"{"pv": "1.0"}"#);
    both.extend_from_slice(&message(r#"{"error": "server_full"}"#));
    let mut client = ClientHandshake::new();
    assert!(matches!(client.receive(&mut both), Ok(ClientStep::Send(_))));
    assert_eq!(client.receive(&mut both), Err(HandshakeError::ServerFull));
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ServerHandshake::new().receive(&mut BytesMut::from(&bytes[..]));
        let mut buffer = BytesMut::from(&bytes[..]);
        let mut client = ClientHandshake::new();
        while let Ok(ClientStep::Send(_)) = client.receive(&mut buffer) {}
    }

    #[test]
    fn any_split_gives_the_same_hello(cut in 0usize..41) {
        let bytes = ServerHandshake::hello();
        let mut server = ServerHandshake::new();
        let mut buffer = BytesMut::from(&bytes[..cut.min(bytes.len() - 1)]);
        prop_assert_eq!(server.receive(&mut buffer), Ok(None));
        buffer.extend_from_slice(&bytes[cut.min(bytes.len() - 1)..]);
        prop_assert_eq!(server.receive(&mut buffer), Ok(Some(Hello::ours())));
    }
}
