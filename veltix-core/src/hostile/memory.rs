//! R1: the memory that received bytes cost.

use allocation_counter::measure;
use bytes::BytesMut;

use super::frame;
use crate::limits::{HEADER_LEN, MAX_MESSAGE_SIZE};
use crate::{FrameDecoder, ProtocolError};

/// Creates a header that announces a body of `length` bytes.
fn header(length: usize) -> BytesMut {
    let mut header = frame(200, 7, b"");
    header[5..9].copy_from_slice(&u32::try_from(length).expect("it fits").to_be_bytes());
    header
}

#[test]
fn r01_what_is_too_large_is_refused_at_its_header_and_costs_nothing() {
    for length in [MAX_MESSAGE_SIZE - HEADER_LEN + 1, 1 << 30, u32::MAX as usize] {
        let header = header(length);
        let mut buffer = BytesMut::with_capacity(HEADER_LEN);
        let mut decoder = FrameDecoder::new(MAX_MESSAGE_SIZE);
        let mut refused_at = None;
        let cost = measure(|| {
            for (read, byte) in header.iter().enumerate() {
                buffer.extend_from_slice(&[*byte]);
                if let Err(ProtocolError::Oversize { .. }) = decoder.decode_batch(&mut buffer) {
                    refused_at = Some(read + 1);
                    break;
                }
            }
        });
        println!(
            "row R1: {length} bytes refused at byte {refused_at:?}, {} allocated",
            cost.bytes_total
        );
        assert_eq!((refused_at, cost.bytes_total), (Some(HEADER_LEN), 0));
    }
}

#[test]
fn r01_a_header_costs_no_more_than_the_first_growth() {
    for body in [0, 1, 100] {
        let mut buffer = header(MAX_MESSAGE_SIZE - HEADER_LEN);
        buffer.extend_from_slice(&vec![7; body]);
        let cost = measure(|| {
            let begun = FrameDecoder::new(MAX_MESSAGE_SIZE).decode_batch(&mut buffer);
            assert!(begun.expect("it is not refused").is_none());
        });
        assert!(cost.bytes_max <= 16 * 1024 + 2 * 1024, "{}", cost.bytes_max);
    }
}
