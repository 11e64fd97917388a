//! Target `stream`: good and bad frames in a row, cut anywhere, and read in every way there is.

use arbitrary::{Result, Unstructured};
use bytes::BytesMut;
use veltix_core::{FrameBatch, FrameDecoder, Message, ProtocolError};

use super::frame::{check, room};
use super::{LIMITS, reference};

/// Frames of one stream at most.
const PIECES: usize = 24;

/// The bytes say of what frames a stream is made, how it is cut, and how each part of it is read.
/// Whatever they say, the same messages come out and the same end as from the whole of it.
pub fn stream(data: &[u8]) {
    // The bytes are at an end before everything is said: there is nothing to check.
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
            // When the choices are at an end, they are all zero.
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

/// A stream of good frames, damaged ones, nonsense, and bodies that hold frames.
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

/// A connection's half that reads.
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

    /// Takes in some bytes, and reads what is whole in one of the ways.
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
                _ => self.decoder.decode_batch(&mut self.buffer).map(|burst| {
                    let some = burst.is_some();
                    self.messages.extend(burst.into_iter().flat_map(|burst| taken(burst, way)));
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

/// All of a burst, which may have to wait in the middle, or is looked at before it is taken.
fn taken(mut burst: FrameBatch, way: u8) -> Vec<Message> {
    let mut messages = Vec::new();
    match way {
        1 => messages.extend(burst.by_ref()),
        2 => {
            messages.extend(burst.next());
            burst.detach_below(1000);
            messages.extend(burst.by_ref());
        }
        _ => {
            while let Some(arrival) = burst.next_ref() {
                let seen = (arrival.code(), arrival.id(), arrival.body().len());
                let message = arrival.into_message();
                assert_eq!(seen, (message.code(), message.id(), message.body().len()));
                messages.push(message);
            }
        }
    }
    assert!(burst.is_empty());
    messages
}
