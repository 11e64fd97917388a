use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::HandshakeError;
use crate::limits::LOGGED_CHARS;

/// Writes a header with this command, family and block.
fn header(version_and_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("the block is short").to_be_bytes();
    [&SIGNATURE[..], &[version_and_command, family], &length, block].concat()
}

/// Writes the block of a TCP connection.
fn tcp_block(client: SocketAddr, server: SocketAddr) -> (u8, Vec<u8>) {
    let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
    match (client.ip(), server.ip()) {
        (IpAddr::V4(client), IpAddr::V4(server)) => {
            (TCP_V4, [&client.octets()[..], &server.octets(), &ports].concat())
        }
        (IpAddr::V6(client), IpAddr::V6(server)) => {
            (TCP_V6, [&client.octets()[..], &server.octets(), &ports].concat())
        }
        _ => panic!("two families"),
    }
}

/// Writes the block of a Unix socket whose client has this path.
fn unix_block(path: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 2 * UNIX_PATH];
    block[..path.len()].copy_from_slice(path);
    block[UNIX_PATH..][..9].copy_from_slice(b"/run/sock");
    block
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("it is short").to_be_bytes();
    [&[kind], &length[..], value].concat()
}

fn v4() -> (u8, Vec<u8>) {
    let addr = |text: &str| text.parse().expect("an address");
    tcp_block(addr("192.0.2.7:4711"), addr("198.51.100.1:8080"))
}

fn client(bytes: &[u8]) -> Result<ProxyClient, ProxyError> {
    match ProxyHeader::read(bytes)? {
        ProxyStep::Done(header) => {
            assert_eq!(header.length(), bytes.len());
            Ok(header.into_client())
        }
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_header_as_haproxy_sends_it() {
    // `send-proxy-v2` of HAProxy 2.6, recorded on a socket.
    let bytes = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c\
        \x7f\x00\x00\x05\x7f\x00\x00\x01\xbf\xdb\xb1\xcd";
    let expected = ProxyClient::Tcp("127.0.0.5:49115".parse().expect("an address"));
    assert_eq!(client(bytes), Ok(expected));
    // Its health check.
    let bytes = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00";
    assert_eq!(client(bytes), Ok(ProxyClient::Balancer));
}

#[test]
fn a_local_header_may_have_any_addresses() {
    for (family, block) in [(0x00, vec![]), (0x11, vec![7; 3]), (0xff, vec![0xff; 200])] {
        assert_eq!(client(&header(0x20, family, &block)), Ok(ProxyClient::Balancer), "{family}");
    }
    assert_eq!(client(&header(0x21, 0x00, &[1, 0, 9])), Ok(ProxyClient::Balancer), "AF_UNSPEC");
}

#[test]
fn a_unix_socket_has_a_path_or_none() {
    let told = |path: &[u8]| client(&header(0x21, UNIX_STREAM, &unix_block(path)));
    let longest = [b'x'; UNIX_PATH];
    for path in [&b""[..], b"/tmp/a", b"/tmp/\xff", &longest] {
        assert_eq!(told(path), Ok(ProxyClient::Unix(path.into())));
    }
    assert_eq!(told(b"\0abstract"), Ok(ProxyClient::Unix(Box::default())));
}

#[test]
fn additional_fields_are_skipped() {
    let (family, block) = v4();
    let fields = [field(0x04, &[]), field(0x01, b"veltix/1"), field(0xe0, &[0; 200])].concat();
    let told = client(&header(0x21, family, &[block.clone(), fields].concat()));
    assert_eq!(told, client(&header(0x21, family, &block)));
    for bad in [&[4][..], &[4, 0], &[4, 0, 1], &[4, 0, 0, 4], &[4, 0xff, 0xff, 0]] {
        let told = client(&header(0x21, family, &[&block[..], bad].concat()));
        assert_eq!(told, Err(ProxyError::BadField), "{bad:?}");
    }
}

#[test]
fn each_error_comes_with_the_byte_that_causes_it() {
    let with = |at: usize, byte: u8| {
        let mut bytes = header(0x21, v4().0, &v4().1);
        bytes[at] = byte;
        bytes
    };
    for (at, byte, error) in [
        (0, b'V', ProxyError::Missing),
        (0, 0x16, ProxyError::Missing),
        (11, 0, ProxyError::Missing),
        (12, 0x11, ProxyError::Version { found: 1 }),
        (12, 0x31, ProxyError::Version { found: 3 }),
        (12, 0x22, ProxyError::Command { found: 2 }),
        (13, 0x12, ProxyError::Family { found: 0x12 }),
        (13, 0x32, ProxyError::Family { found: 0x32 }),
        (13, 0x01, ProxyError::Family { found: 1 }),
        (13, 0x41, ProxyError::Family { found: 0x41 }),
        (14, 2, ProxyError::TooLong { length: 16 + 0x20c, limit: 536 }),
        (15, 11, ProxyError::TooShort { length: 11, needed: 12 }),
    ] {
        let bytes = with(at, byte);
        assert_eq!(ProxyHeader::read(&bytes), Err(error), "{at} {byte}");
        // A length has two bytes.
        let complete = if at == 14 { 16 } else { at + 1 };
        assert_eq!(ProxyHeader::read(&bytes[..complete]), Err(error), "{at} {byte}");
        let before = ProxyHeader::read(&bytes[..complete - 1]);
        assert_eq!(before, Ok(ProxyStep::Wait { until: ADDRESSES }), "{at} {byte}");
    }
}

/// A log line shows 128 characters of it.
#[test]
fn the_text_of_an_error_fits_a_log_line() {
    for error in [
        ProxyError::Missing,
        ProxyError::Text,
        ProxyError::Version { found: 15 },
        ProxyError::Command { found: 15 },
        ProxyError::Family { found: 0xff },
        ProxyError::TooLong { length: 65_551, limit: MAX_PROXY_HEADER_LEN },
        ProxyError::TooShort { length: 215, needed: 216 },
        ProxyError::BadField,
        ProxyError::Cut { received: 535 },
    ] {
        let text = error.to_string();
        assert!(text.len() <= LOGGED_CHARS && text.contains(": "), "{text}");
    }
    assert!(HandshakeError::ProxyHeader.to_string().len() <= LOGGED_CHARS);
}

#[test]
fn version_1_is_named() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 8080\r\n";
    for length in 5..line.len() {
        assert_eq!(ProxyHeader::read(&line[..length]), Err(ProxyError::Text));
    }
    for length in 0..5 {
        let step = ProxyHeader::read(&line[..length]);
        assert_eq!(step, Ok(ProxyStep::Wait { until: ADDRESSES }));
    }
    assert_eq!(ProxyHeader::read(b"PROPFIND"), Err(ProxyError::Missing));
}

#[test]
fn the_longest_header_has_536_bytes() {
    let (family, block) = v4();
    let filled = |length: usize| {
        let value = vec![0; length - ADDRESSES - block.len() - 3];
        header(0x21, family, &[block.clone(), field(0x04, &value)].concat())
    };
    assert!(client(&filled(536)).is_ok());
    let error = ProxyError::TooLong { length: 537, limit: 536 };
    assert_eq!(ProxyHeader::read(&filled(537)[..16]), Err(error));
}

fn addrs() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4], u16, u16)>().prop_map(|(client, server, from, to)| {
            (SocketAddr::from((client, from)), SocketAddr::from((server, to)))
        }),
        any::<([u8; 16], [u8; 16], u16, u16)>().prop_map(|(client, server, from, to)| {
            (SocketAddr::from((client, from)), SocketAddr::from((server, to)))
        }),
    ]
}

fn headers() -> impl Strategy<Value = (ProxyClient, Vec<u8>)> {
    let tcp = addrs().prop_map(|(client, server)| {
        let (family, block) = tcp_block(client, server);
        (ProxyClient::Tcp(client), family, block)
    });
    let unix = vec(1..=u8::MAX, 0..=UNIX_PATH)
        .prop_map(|path| (ProxyClient::Unix(path[..].into()), UNIX_STREAM, unix_block(&path)));
    let fields = vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..6);
    let proxied = (prop_oneof![tcp, unix], fields).prop_map(|((client, family, block), fields)| {
        let fields: Vec<_> = fields.iter().flat_map(|(kind, value)| field(*kind, value)).collect();
        (client, header(0x21, family, &[block, fields].concat()))
    });
    let local = (any::<u8>(), vec(any::<u8>(), 0..520))
        .prop_map(|(family, block)| (ProxyClient::Balancer, header(0x20, family, &block)));
    prop_oneof![3 => proxied, 1 => local]
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written((expected, bytes) in headers(), rest in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(client(&bytes), Ok(expected.clone()));
        for length in 0..bytes.len() {
            let step = ProxyHeader::read(&bytes[..length]);
            let Ok(ProxyStep::Wait { until }) = step else { panic!("{step:?} after {length}") };
            prop_assert!(until > length && until <= bytes.len());
        }
        let length = bytes.len();
        let header = ProxyHeader { length, client: expected };
        prop_assert_eq!(ProxyHeader::read(&[bytes, rest].concat()), Ok(ProxyStep::Done(header)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..600), signed: bool, at: usize, command in 0x1f..0x23_u8) {
        let mut bytes = bytes;
        if signed {
            bytes.splice(..0, SIGNATURE.iter().copied().chain([command]));
        }
        let whole = ProxyHeader::read(&bytes);
        let part = ProxyHeader::read(&bytes[..at % (bytes.len() + 1)]);
        match part {
            Ok(ProxyStep::Wait { until }) => prop_assert!(until <= MAX_PROXY_HEADER_LEN),
            decided => prop_assert_eq!(decided, whole),
        }
    }
}
