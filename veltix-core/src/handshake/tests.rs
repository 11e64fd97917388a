//! Both sides, byte by byte.

use proptest::prelude::*;

use super::*;
use crate::limits::MAX_TOKEN_LEN;

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

/// What a client with this token sends.
fn with_token(token: &Token) -> Bytes {
    let mut client = ClientHandshake::with_token(Some(token.clone()));
    let step = client.receive(&mut BytesMut::from(&ServerHandshake::hello()[..]));
    assert!(!format!("{client:?} {step:?}").contains(token.expose()), "it is told");
    let Ok(ClientStep::Send(hello)) = step else { panic!("{step:?}") };
    hello
}

#[test]
fn a_token_reaches_the_server_and_is_not_kept_in_the_hello() {
    // What JSON writes longest, with each length that could be that of a frame among them.
    for length in (1..5).chain(3_600..=MAX_TOKEN_LEN) {
        let token = Token::from("\u{1}".repeat(length));
        let mut bytes = BytesMut::from(&with_token(&token)[..]);
        let read = ServerHandshake::new().receive_with(&mut bytes, Hello::parse_with_token);
        let (hello, shown) = read.unwrap().expect("it is whole");
        assert!(shown.is_some_and(|shown| shown.is(token.expose())));
        assert_eq!(hello, Hello::ours());
    }
    for odd in ["7", "\"\"", "null", "[\"x\"]"] {
        let odd = format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"token": {odd}, "x": 1}}}}}}"#);
        let (hello, shown) = Hello::parse_with_token(odd.as_bytes()).unwrap();
        assert!(shown.is_none(), "{odd}");
        assert_eq!(Value::Object(hello.meta().clone()), json!({"veltix": {"x": 1}}));
    }
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
    // A message of 5 635 bytes has the same first two.
    assert_eq!(length(b"\x16\x03{"), Ok(None));
    assert_eq!(length(b"\x16\x03"), Ok(None));
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
