//! Target `stream`: valid and damaged frames in a row, split at any offset, and read in every way
//! that the decoder offers.

use arbitrary::{Result, Unstructured};
use bytes::BytesMut;
use veltix_core::{FrameBatch, FrameDecoder, Message, ProtocolError};

use super::frame::{check, room};
use super::{LIMITS, reference};

/// The maximum number of frames in one stream.
const PIECES: usize = 24;

/// Builds a stream from the bytes, and reads it in parts. The bytes select the frames, the splits,
/// and the way to read each part. For any bytes, the messages and the end are the same as for the
/// complete stream.
pub fn stream(data: &[u8]) {
    // The bytes end before all choices are made: there is nothing to check.
    let _ = cut_and_read(&mut Unstructured::new(data));
}

fn cut_and_read(choices: &mut Unstructured<'_>) -> Result<()> {
    let limit = *choices.choose(&LIMITS)?;
    let stream = written(choices)?;
    let (frames, end) = reference::read(&stream, limit);
    let mut reader = Reader::new(limit);
    let mut rest = &stream[..];
    while !rest.is_empty() && reader.error.is_none() {
        let length = match choices.arbitrary::<u8>()? {
            // After the end of the choices, all further choices are zero.
            0 => rest.len(),
            255 => usize::from(choices.arbitrary::<u16>()?),
            few => usize::from(few),
        };
        let (chunk, behind) = rest.split_at(length.min(rest.len()));
        reader.feed(chunk, choices)?;
        rest = behind;
    }
    let ended = reader.error.map_or_else(|| reader.decoder.end(&reader.buffer), Err);
    assert_eq!(ended, end);
    assert_eq!(reader.messages.len(), frames.len());
    reader.messages.iter().zip(&frames).for_each(|(message, frame)| check(message, frame));
    let flagged = frames.iter().filter(|frame| frame.flags != 0).count();
    assert_eq!(reader.decoder.flagged(), flagged as u64);
    Ok(())
}

/// Builds a stream of valid frames, damaged frames, random bytes, and bodies that contain frames.
fn written(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut stream = Vec::new();
    for _ in 0..choices.int_in_range(0..=PIECES)? {
        let (kind, code, id) = choices.arbitrary::<(u8, u16, u16)>()?;
        let flags = if kind & 0x80 == 0 { 0 } else { choices.arbitrary()? };
        let mut body = choices.arbitrary::<&[u8]>()?.to_vec();
        match kind % 8 {
            0 => {
                stream.extend_from_slice(&body);
                continue;
            }
            1 => body = reference::write(flags, code, id, &body),
            2 => body = body.repeat(40),
            _ => {}
        }
        let mut frame = reference::write(flags, code, id, &body);
        if kind % 8 == 3 {
            let bit = choices.choose_index(8 * frame.len())?;
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        stream.append(&mut frame);
    }
    Ok(stream)
}

/// The reading half of a connection.
struct Reader {
    decoder: FrameDecoder,
    buffer: BytesMut,
    received: usize,
    messages: Vec<Message>,
    error: Option<ProtocolError>,
}

impl Reader {
    fn new(limit: usize) -> Self {
        let decoder = FrameDecoder::new(limit);
        Self { decoder, buffer: BytesMut::new(), received: 0, messages: Vec::new(), error: None }
    }

    /// Appends some bytes, and reads the complete frames in one of the ways.
    fn feed(&mut self, chunk: &[u8], choices: &mut Unstructured<'_>) -> Result<()> {
        self.buffer.extend_from_slice(chunk);
        self.received += chunk.len();
        loop {
            let way = choices.arbitrary::<u8>()? % 4;
            let read = match way {
                0 => self.decoder.decode(&mut self.buffer).map(|message| {
                    let some = message.is_some();
                    self.messages.extend(message);
                    some
                }),
                _ => self.decoder.decode_batch(&mut self.buffer).map(|batch| {
                    let some = batch.is_some();
                    self.messages.extend(batch.into_iter().flat_map(|batch| taken(batch, way)));
                    some
                }),
            };
            match read {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        assert!(self.buffer.capacity() <= room(self.received), "{}", self.buffer.capacity());
        Ok(())
    }
}

/// Reads all messages of a frame batch, which may have to wait in the middle, or is inspected
/// before it is consumed.
fn taken(mut batch: FrameBatch, way: u8) -> Vec<Message> {
    let mut messages = Vec::new();
    match way {
        1 => messages.extend(batch.by_ref()),
        2 => {
            messages.extend(batch.next());
            batch.detach_below(1000);
            messages.extend(batch.by_ref());
        }
        _ => {
            while let Some(message_ref) = batch.next_ref() {
                let seen = (message_ref.code(), message_ref.id(), message_ref.body().len());
                let message = message_ref.into_message();
                assert_eq!(seen, (message.code(), message.id(), message.body().len()));
                messages.push(message);
            }
        }
    }
    assert!(batch.is_empty());
    messages
}
