//! Handshakes of real peers, replayed to each of our sides; and a complete session.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::Value;
use veltix_core::limits::{MAX_HANDSHAKE_LEN, MAX_MESSAGE_SIZE};
use veltix_core::{
    ClientHandshake, ClientStep, Frame, FrameDecoder, HandshakeError, Hello, Message,
    ServerHandshake,
};

use super::{Hex, check_listed, section};

#[derive(Deserialize)]
struct Transcript {
    name: String,
    /// Absent, or "real …" if the server is Python's.
    #[serde(default)]
    server: String,
    /// The bytes of Python's client, if the client is Python's.
    client_result: Option<Value>,
    transcript: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    conn: u32,
    #[serde(default)]
    dir: String,
    /// Absent for the end of the stream and for comments.
    #[serde(default)]
    hex: Hex,
    #[serde(default)]
    decoded: Vec<String>,
}

const TO_SERVER: &str = "C->S";
const TO_CLIENT: &str = "S->C";

fn bytes<'a>(steps: impl IntoIterator<Item = &'a Step>, direction: &str) -> BytesMut {
    let steps = steps.into_iter().filter(|step| step.dir == direction);
    steps.flat_map(|step| step.hex.iter()).collect()
}

impl Transcript {
    fn is_acked(&self) -> bool {
        let ack = ServerHandshake::accepted();
        bytes(&self.transcript, TO_CLIENT).windows(ack.len()).any(|window| window == ack)
    }

    /// Returns whether a Python server accepts these clients: the result of this server, or of a
    /// Python client with a hand-written server.
    fn server_accepts(&self) -> bool {
        match self.server.as_str() {
            "hand-made" => !bytes(&self.transcript, TO_SERVER).is_empty(),
            _ => self.is_acked(),
        }
    }

    /// Returns whether a Python client accepts these servers: the result of this client, or of a
    /// Python server with a hand-written client.
    fn client_accepts(&self) -> bool {
        self.client_result.as_ref().map_or_else(|| self.is_acked(), |result| *result == true)
    }
}

/// The result of one of our sides for all bytes of the other side.
#[derive(Debug, PartialEq)]
enum Ours {
    /// The handshake has completed, and this many frames followed it.
    Accepts(usize),
    /// The side waits for more, until the end of the stream or the deadline.
    Waits,
    /// The side closes, as Python does.
    Refuses(HandshakeError),
    /// The side closes at once, while Python waits for bytes until its deadline.
    Sooner(HandshakeError),
    /// The side closes, while Python accepts.
    Stricter(HandshakeError),
}

use Ours::{Accepts, Refuses, Sooner, Stricter, Waits};

/// The outcomes of our server and our client for the bytes of the other side.
fn table() -> [(&'static str, Ours, Ours); 28] {
    let version =
        |theirs: &str| Refuses(HandshakeError::IncompatibleVersion { theirs: theirs.to_owned() });
    let length = |length| Refuses(HandshakeError::BadLength { length, limit: MAX_HANDSHAKE_LEN });
    let refused = |reason: &str| Refuses(HandshakeError::Refused { reason: reason.to_owned() });
    let full = || Refuses(HandshakeError::ServerFull);
    let no_object = || Refuses(HandshakeError::NotAnObject);
    [
        ("success, real client and real server, ASYNC backend", Accepts(0), Accepts(0)),
        (
            "server full (max_connection=1), real client and real server, ASYNC backend",
            Waits,
            full(),
        ),
        ("success, real client and real server, THREADING backend", Accepts(0), Accepts(0)),
        (
            "server full (max_connection=1), real client and real server, THREADING backend",
            Waits,
            full(),
        ),
        ("client pv 2.0 rejected by silent close", version("2.0"), Waits),
        ("client without pv (what 1.8 - 2.0.2 clients send) rejected", version(""), Waits),
        ("client pv 1.7 accepted (minor ignored)", Accepts(0), Accepts(0)),
        ("client sends only pv, accepted", Accepts(0), Accepts(0)),
        ("pv 1.0.0 rejected", version("1.0.0"), Waits),
        ("pv as number rejected", version("1.0"), Waits),
        ("empty object rejected", version(""), Waits),
        ("JSON array rejected", no_object(), Waits),
        ("zero length rejected", length(0), Waits),
        ("length 30721 rejected from the length alone", length(30_721), Waits),
        ("invalid JSON rejected", no_object(), Waits),
        ("UTF-8 BOM accepted", Accepts(0), Accepts(0)),
        ("UTF-16LE with BOM accepted", Stricter(HandshakeError::NotAnObject), Accepts(0)),
        ("silent client closed after handshake_timeout", Waits, Waits),
        ("PING pipelined behind the client hello", Accepts(1), Accepts(1)),
        ("server pv 2.0: client closes without sending anything", Waits, version("2.0")),
        (
            "server without pv (1.8 - 2.0.2): client closes without sending anything",
            Waits,
            version(""),
        ),
        // Python has one error for all reasons; ours distinguishes them.
        ("any error text raises ServerFullError", Waits, refused("banned")),
        ("ack result not ok", Accepts(0), refused("its ack is not \"ok\"")),
        ("minimal server hello", Accepts(0), Accepts(0)),
        ("2.0.3 style hello with id_window", Accepts(0), Accepts(0)),
        ("frames pipelined behind the ack", Accepts(1), Accepts(2)),
        ("server sends hello, ack and a frame without waiting", Accepts(0), Accepts(1)),
        (
            "1.7 style framed HELLO: read as length 22104, times out",
            Waits,
            Sooner(HandshakeError::FrameBeforeHandshake),
        ),
    ]
}

/// The bytes after the handshake, if it has completed.
type Outcome = Result<Option<BytesMut>, HandshakeError>;

fn as_server(mut buffer: BytesMut) -> Outcome {
    let hello = ServerHandshake::new().receive(&mut buffer)?;
    Ok(hello.map(|_| buffer))
}

fn as_client(mut buffer: BytesMut) -> Outcome {
    let mut handshake = ClientHandshake::new();
    loop {
        match handshake.receive(&mut buffer)? {
            ClientStep::Send(_) => {}
            ClientStep::Wait => return Ok(None),
            ClientStep::Done(_) => return Ok(Some(buffer)),
        }
    }
}

/// Returns the messages in these bytes, which are complete frames.
fn messages(name: &str, mut buffer: BytesMut) -> Vec<Message> {
    let mut decoder = FrameDecoder::new(MAX_MESSAGE_SIZE);
    let messages = std::iter::from_fn(|| {
        decoder.decode(&mut buffer).unwrap_or_else(|error| panic!("{name}: {error}"))
    })
    .collect();
    assert!(buffer.is_empty(), "{name}: bytes after the last frame");
    messages
}

fn check(name: &str, outcome: Outcome, expected: &Ours, python_accepts: bool) {
    let accepts = matches!(expected, Accepts(_) | Stricter(_));
    assert_eq!(accepts, python_accepts, "{name}: the table does not match Python");
    match (outcome, expected) {
        (Ok(Some(rest)), Accepts(frames)) => {
            assert_eq!(messages(name, rest).len(), *frames, "{name}");
        }
        (Ok(None), Waits) => {}
        (Err(error), Refuses(expected) | Sooner(expected) | Stricter(expected)) => {
            assert_eq!(error, *expected, "{name}");
        }
        (outcome, expected) => panic!("{name}: {outcome:?}, expected {expected:?}"),
    }
}

#[test]
fn each_side_decides_as_python_does() {
    let transcripts: Vec<Transcript> = section("handshakes");
    let table = table();
    check_listed(
        transcripts.iter().map(|vector| &vector.name),
        table.iter().map(|(name, ..)| *name),
    );
    for (vector, (name, server, client)) in transcripts.iter().zip(&table) {
        let outcome = as_server(bytes(&vector.transcript, TO_SERVER));
        check(&format!("{name}, our server"), outcome, server, vector.server_accepts());
        let outcome = as_client(bytes(&vector.transcript, TO_CLIENT));
        check(&format!("{name}, our client"), outcome, client, vector.client_accepts());
    }
}

#[test]
fn what_we_say_is_what_python_says() {
    let transcripts: Vec<Transcript> = section("handshakes");
    let full = bytes(&transcripts[1].transcript, TO_CLIENT);
    assert_eq!(ServerHandshake::full(), full, "{}", transcripts[1].name);
    let python = bytes(&transcripts[0].transcript, TO_CLIENT);
    let ack = ServerHandshake::accepted();
    assert!(python.ends_with(&ack), "{}", transcripts[0].name);
    // Our hello differs only in its version and its `meta`.
    let ours = Hello::ours();
    let hello = String::from_utf8(ServerHandshake::hello()[2..].to_vec()).unwrap();
    let meta = Value::Object(ours.meta().clone()).to_string();
    let hello = hello.replace(ours.version(), "3.3.0").replace(&meta, "{}");
    assert_eq!(hello.as_bytes(), &python[2..python.len() - ack.len()]);
}

#[derive(Deserialize)]
struct PvVector {
    pv: Value,
    accepted: bool,
}

/// Text that Python's `int` accepts, although it is more than digits.
const STRICTER_PV: [&str; 6] = [" 1 . 0 ", "+1.0", "1.-5", "1.0 ", "\u{661}.0", "1.0\n"];

#[test]
fn protocol_versions_are_judged_as_by_python_but_digits_only() {
    let vectors: Vec<PvVector> = section("pv_acceptance");
    let mut stricter = Vec::new();
    for PvVector { pv, accepted } in &vectors {
        let hello = format!(r#"{{"pv": {pv}}}"#);
        let mut bytes = BytesMut::from(&(hello.len() as u16).to_be_bytes()[..]);
        bytes.extend_from_slice(hello.as_bytes());
        let ours = as_server(bytes.clone()).is_ok();
        assert_eq!(as_client(bytes).is_ok(), ours, "{hello}: our two sides differ");
        assert!(*accepted || !ours, "{hello}: only ours accepts it");
        if *accepted && !ours {
            stricter.extend(pv.as_str());
        }
    }
    assert_eq!(stricter, STRICTER_PV, "left are the vectors, right is what the table names");
}

/// Two clients and a server of Python: calls, pings and broadcasts, with either backend.
#[test]
fn a_session_is_read_and_written_back() {
    let session: Vec<Step> = section("session");
    for (connection, direction) in [(1, TO_SERVER), (1, TO_CLIENT), (2, TO_SERVER), (2, TO_CLIENT)]
    {
        let name = format!("connection {connection}, {direction}");
        let steps = || session.iter().filter(|step| step.conn == connection);
        let read = if direction == TO_SERVER { as_server } else { as_client };
        let rest = read(bytes(steps(), direction)).unwrap().unwrap();
        let mut written = BytesMut::new();
        let mut described = Vec::new();
        for message in messages(&name, rest.clone()) {
            described.push(format!(
                "frame code={} flags=0 id={} len={} payload=b'{}'",
                message.code(),
                message.id(),
                message.body().len(),
                message.text().unwrap(),
            ));
            Frame::from(message).write_to(&mut written);
        }
        assert_eq!(written, rest, "{name}");
        let frames = steps().filter(|step| step.dir == direction).flat_map(|step| &step.decoded);
        let expected: Vec<_> = frames.filter(|text| text.starts_with("frame ")).collect();
        assert_eq!(described.iter().collect::<Vec<_>>(), expected, "{name}");
    }
}
