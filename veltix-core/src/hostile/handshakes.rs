//! R2 and R9: the bytes of a peer before its first frame.

use super::hellos::{Verdict, hellos};
use super::*;
use crate::limits::{LOGGED_CHARS, MAX_HANDSHAKE_LEN};
use crate::{ClientHandshake, ClientStep, HandshakeError, Hello, ServerHandshake};

/// Returns the verdict of each side on the first bytes of the other.
fn both_sides(bytes: &[u8]) -> [Result<(), HandshakeError>; 2] {
    let mut buffers = [BytesMut::from(bytes), BytesMut::from(bytes)];
    let server = ServerHandshake::new().receive(&mut buffers[0]).map(drop);
    let client = ClientHandshake::new().receive(&mut buffers[1]).map(drop);
    [server, client]
}

#[test]
fn r02_each_length_is_judged_at_its_second_byte() {
    let limit = MAX_HANDSHAKE_LEN;
    for length in 0..=u16::MAX {
        let expected = match usize::from(length) {
            0x5658 => Err(HandshakeError::FrameBeforeHandshake),
            length @ (0 | 30_721..) => Err(HandshakeError::BadLength { length, limit }),
            _ => Ok(()),
        };
        let judged = both_sides(&length.to_be_bytes());
        assert_eq!(judged, [expected.clone(), expected], "length {length}");
    }
}

#[test]
fn r02_a_third_byte_changes_no_refusal() {
    for length in 0..=u16::MAX {
        let [high, low] = length.to_be_bytes();
        let judged = both_sides(&[high, low]);
        if judged[0].is_err() {
            for third in [0, 3, b' ', b'T', b'q', b'{', 0xff] {
                assert_eq!(both_sides(&[high, low, third]), judged, "length {length}, {third}");
            }
        }
    }
}

#[test]
fn r02_a_message_that_lacks_its_end_is_waited_for() {
    for length in [1_u16, 2, 40, 30_720] {
        let bytes = [&length.to_be_bytes()[..], &vec![b' '; usize::from(length)]].concat();
        for there in [2, bytes.len() / 2, bytes.len() - 1] {
            let mut buffer = BytesMut::from(&bytes[..there]);
            assert_eq!(ServerHandshake::new().receive(&mut buffer), Ok(None));
            let waits = ClientHandshake::new().receive(&mut buffer);
            assert_eq!(waits, Ok(ClientStep::Wait), "{there} of {length}");
            assert_eq!(buffer.len(), there);
        }
    }
}

#[test]
fn r09_five_hundred_hellos_are_judged_and_nothing_panics() {
    let hellos = hellos();
    assert!(hellos.len() >= 500, "{}", hellos.len());
    for (json, verdict) in hellos {
        let shown = String::from_utf8_lossy(&json[..json.len().min(100)]).into_owned();
        let length = u16::try_from(json.len()).unwrap();
        let bytes = [&length.to_be_bytes()[..], &json].concat();
        let [server, client] = both_sides(&bytes);
        assert_eq!(server, client, "{shown}");
        let judged = match &server {
            Ok(()) => Verdict::Accepted,
            Err(HandshakeError::NotAnObject) => Verdict::NotAnObject,
            // A message has at least one byte.
            Err(HandshakeError::BadLength { length: 0, .. }) if json.is_empty() => continue,
            Err(HandshakeError::IncompatibleVersion { theirs }) => {
                assert!(theirs.chars().count() <= LOGGED_CHARS + 1, "{shown}");
                assert!(!theirs.contains(char::is_control), "{shown}");
                Verdict::Version
            }
            Err(error) => panic!("{shown}: {error}"),
        };
        assert_eq!(judged, verdict, "{shown}");
        if let Ok(hello) = Hello::parse(&json) {
            assert!(hello.version().chars().count() <= LOGGED_CHARS, "{shown}");
            let meta = serde_json::Value::Object(hello.meta().clone()).to_string();
            assert!(meta.len() <= 1100, "{shown}: {meta}");
        }
    }
}
