//! The frames of message-io's `FramedTcp`: the length of the payload as a varint (seven bits in
//! each byte, the lowest first), then the payload.

use super::framing::Framing;

/// The wire of the hub on message-io.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageIo;

impl Framing for MessageIo {
    fn header(&self, payload: usize) -> Vec<u8> {
        let (mut rest, mut bytes) = (payload, Vec::new());
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use message_io::util::encoding;

    use super::super::tests::KINDS;
    use super::super::{Request, Wire};
    use super::*;

    #[test]
    fn message_io_reads_our_messages_as_one_frame_each() {
        for kind in KINDS {
            for body in [8, 64, 126, 127, 128, 16_384, 1 << 20] {
                let message = MessageIo.message(kind, 7, body);
                assert_eq!(message.len(), MessageIo.answer_len(kind, body));
                assert_eq!(MessageIo.answer_body(kind, &message), MessageIo.body(7, body));
                let mut frames = Vec::new();
                let mut decoder = encoding::Decoder::default();
                decoder.decode(&message, |frame| frames.push(frame.to_vec()));
                assert_eq!(frames, [Request::Message(kind).payload(&MessageIo.body(7, body))]);
                assert_eq!(decoder.stored_size(), 0);
            }
        }
    }
}
