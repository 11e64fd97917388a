//! A length of four bytes, then a payload: the default of `LengthDelimitedCodec`.

use super::framing::Framing;

/// The wire of the hubs on `LengthDelimitedCodec`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delimited;

impl Framing for Delimited {
    fn header(&self, payload: usize) -> Vec<u8> {
        (payload as u32).to_be_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::{Decoder, LengthDelimitedCodec};

    use super::super::tests::KINDS;
    use super::super::{Request, Wire};
    use super::*;

    #[test]
    fn the_codec_reads_our_messages_as_one_frame_each() {
        for kind in KINDS {
            for body in [8, 64, 1 << 20] {
                let mut bytes = BytesMut::from(&Delimited.message(kind, 7, body)[..]);
                assert_eq!(bytes.len(), Delimited.answer_len(kind, body));
                assert_eq!(Delimited.answer_body(kind, &bytes), Delimited.body(7, body));
                let frame = LengthDelimitedCodec::new().decode(&mut bytes).expect("a frame");
                let frame = frame.expect("a whole one");
                assert!(bytes.is_empty());
                assert_eq!(Request::of(&frame), Some(Request::Message(kind)));
                assert_eq!(frame[1..], Delimited.body(7, body));
            }
        }
    }
}
