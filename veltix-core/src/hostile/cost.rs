//! R3: no input costs much more than an honest one of its size.

use super::*;
use crate::hostile::looked;
use crate::limits::{BATCH_BYTES, BATCH_FRAMES, HEADER_LEN, MAX_MESSAGE_SIZE};

const MIB: usize = 1 << 20;

/// Counts the work of reading a stream. The work is counted and not timed, so the result is the
/// same on a busy machine.
struct Cost {
    /// Counts examined bytes, in headers and under the checksum.
    looked: u64,
    /// Counts bytes that may have been moved to a larger buffer.
    moved: u64,
    /// Counts decoded frames.
    frames: usize,
}

/// Reads a stream that arrives in parts of this size, until its end or the first error. As on a
/// connection, a read fills at most the free capacity of the buffer.
fn cost(stream: &[u8], part: usize) -> Cost {
    let mut decoder = FrameDecoder::new(2 * MAX_MESSAGE_SIZE);
    let mut buffer = BytesMut::new();
    let (mut moved, mut frames) = (0, 0);
    let mut rest = stream;
    looked::take();
    'stream: while !rest.is_empty() {
        if buffer.capacity() == buffer.len() {
            moved += buffer.len();
            buffer.reserve(part);
        }
        let room = buffer.capacity() - buffer.len();
        let (chunk, behind) = rest.split_at(part.min(room).min(rest.len()));
        buffer.extend_from_slice(chunk);
        rest = behind;
        loop {
            let room = buffer.capacity();
            match decoder.decode_batch(&mut buffer) {
                Ok(Some(burst)) => frames += burst.count(),
                Ok(None) => {
                    moved += if buffer.capacity() > room { buffer.len() } else { 0 };
                    break;
                }
                Err(_) => break 'stream,
            }
        }
    }
    Cost { looked: looked::take(), moved: moved as u64, frames }
}

/// Creates `frames` frames of the same size, which have `bytes` bytes in all.
fn honest(bytes: usize, frames: usize) -> BytesMut {
    let body = vec![b'x'; (bytes / frames).saturating_sub(HEADER_LEN)];
    let one = frame(200, 1, &body);
    BytesMut::from(&one.repeat(frames)[..])
}

/// Creates good frames and one bad frame after them. The decoder must not examine the bad frame
/// again and again.
fn bad_behind(good: usize, bytes: usize) -> BytesMut {
    let mut stream = honest(good * 20, good);
    let mut bad = frame(200, 1, &vec![b'V'; bytes - stream.len() - HEADER_LEN]);
    bad[9] ^= 1;
    stream.unsplit(bad);
    stream
}

/// Creates inputs of `bytes` bytes, each made to cost as much as possible.
fn attacks(bytes: usize) -> Vec<(&'static str, BytesMut)> {
    let repeated = |what: &[u8]| BytesMut::from(&what.repeat(bytes.div_ceil(what.len()))[..bytes]);
    let mut cut_short = honest(bytes, 1);
    cut_short.truncate(bytes - 1);
    let mut header_alone = frame(200, 1, b"");
    header_alone[5..9].copy_from_slice(&(bytes as u32).to_be_bytes());
    header_alone.unsplit(repeated(b"V").split_to(bytes - HEADER_LEN));
    let mut swallowing = frame(200, 1, &honest(bytes - HEADER_LEN, bytes / 20)[..]);
    swallowing[9] ^= 1;
    let burst = bad_behind(BATCH_FRAMES - 1, bytes);
    let mut batch = honest(bytes, bytes / (BATCH_BYTES - 1));
    let last = batch.len() - 1;
    batch[last] ^= 1;
    vec![
        ("nothing but V", repeated(b"V")),
        ("nothing but magic", repeated(b"VX")),
        ("empty frames", repeated(&frame(200, 1, b""))),
        ("frames of one byte", repeated(&frame(200, 1, b"x"))),
        ("one frame that lacks its end", cut_short),
        ("a header and no frame", header_alone),
        ("frames in a damaged frame", swallowing),
        ("a damaged frame behind one", bad_behind(1, bytes)),
        ("a damaged frame behind a burst", burst),
        ("frames that just do not fill a batch", batch),
    ]
}

/// Checks three limits: an attack costs at most three times the same number of honest frames in the
/// same parts, an attack of twice the size costs at most 2.3 times as much, and no byte is moved
/// more than once.
fn check(bytes: usize, part: usize) {
    let doubled = attacks(2 * bytes);
    for ((name, attack), (_, twice)) in attacks(bytes).iter().zip(&doubled) {
        let name = format!("{name} in parts of {part}");
        let spent = cost(attack, part);
        let fair = cost(&honest(bytes, spent.frames.max(1)), part);
        assert_eq!(fair.frames, spent.frames.max(1), "{name}");
        let (all, fairly) = (spent.looked + spent.moved, fair.looked + fair.moved);
        println!("{name}: {:.2} of the honest", all as f64 / fairly as f64);
        assert!(all <= 3 * fairly, "{name}: {all} beside {fairly}");
        let more = cost(twice, part);
        assert!(10 * more.looked <= 23 * spent.looked, "{name}, twice: {}", more.looked);
        assert!(spent.moved <= bytes as u64, "{name}: {}", spent.moved);
    }
}

#[test]
fn r03_no_input_costs_more_than_three_honest_ones() {
    check(10 * MIB, 64 * 1024);
    check(MIB, 1448);
}

#[test]
fn r03_nor_does_it_in_the_smallest_parts() {
    check(MIB / 16, 1);
    check(MIB / 16, 7);
}
