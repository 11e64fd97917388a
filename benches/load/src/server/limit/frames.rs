//! The requests in the frames of one read.

use crate::wire::code;

const HEADER: usize = 15;

/// The error of a malformed frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// The results of the frames of one read, as bytes that are ready to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The answers to the sender.
    pub(super) answers: Vec<u8>,
    /// The publishes to all other connections.
    pub(super) publishes: Vec<u8>,
    /// The publishes to the connections with the tag.
    pub(super) tagged: Vec<u8>,
    /// Whether the sender asks for the tag.
    pub(super) joins: bool,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.answers.clear();
        self.publishes.clear();
        self.tagged.clear();
        self.joins = false;
    }

    /// Checks every whole frame at the front and copies the bytes that are to be written. Returns
    /// the length of these frames.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Damaged> {
        let mut at = 0;
        while let Some(length) = frame_len(&bytes[at..])? {
            let Some(frame) = bytes.get(at..at + length) else { break };
            let checksum = [frame[9], frame[10], frame[11], frame[12]];
            if crc32fast::hash(&frame[HEADER..]) != u32::from_be_bytes(checksum) {
                return Err(Damaged);
            }
            match u16::from_be_bytes([frame[3], frame[4]]) {
                code::ECHO => self.answers.extend_from_slice(frame),
                code::PUBLISH => self.publishes.extend_from_slice(frame),
                code::PUBLISH_TAG => self.tagged.extend_from_slice(frame),
                code::JOIN => {
                    self.joins = true;
                    self.answers.extend_from_slice(frame);
                }
                _ => {}
            }
            at += length;
        }
        Ok(at)
    }
}

/// Returns the length of the frame that begins here, or `None` until its header is complete.
pub(super) fn frame_len(bytes: &[u8]) -> Result<Option<usize>, Damaged> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
    if !header.starts_with(b"VX") || length > veltix_core::limits::MAX_MESSAGE_SIZE {
        return Err(Damaged);
    }
    Ok(Some(HEADER + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Kind, Veltix, Wire};

    const KINDS: [Kind; 4] = [Kind::Echo, Kind::Sink, Kind::Publish, Kind::PublishTag];

    fn stream() -> impl Strategy<Value = Vec<(Kind, usize)>> {
        prop::collection::vec((prop::sample::select(&KINDS[..]), 8..300usize), 0..20)
    }

    proptest! {
        #[test]
        fn how_the_bytes_were_cut_does_not_matter(
            messages in stream(),
            cuts in prop::collection::vec(1..400usize, 1..10),
        ) {
            let (mut bytes, mut whole) = (Vec::new(), Batch::default());
            for (seq, &(kind, body)) in messages.iter().enumerate() {
                let message = Veltix::plain().message(kind, seq as u64, body);
                match kind {
                    Kind::Echo => whole.answers.extend_from_slice(&message),
                    Kind::Publish => whole.publishes.extend_from_slice(&message),
                    Kind::PublishTag => whole.tagged.extend_from_slice(&message),
                    Kind::Sink => {}
                }
                bytes.extend_from_slice(&message);
            }
            let (mut batch, mut partial, mut rest) = (Batch::default(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at(rest.len().min(*cut));
                rest = later;
                partial.extend_from_slice(piece);
                let used = batch.take(&partial).expect("frames");
                partial.drain(..used);
            }
            prop_assert!(partial.is_empty());
            prop_assert_eq!(batch, whole);
        }

        #[test]
        fn a_changed_body_is_noticed(at in 15..79usize, bit in 0..8u32) {
            let mut message = Veltix::plain().message(Kind::Echo, 1, 64);
            message[at] ^= 1 << bit;
            prop_assert_eq!(Batch::default().take(&message), Err(Damaged));
        }
    }
}
