//! R1, R24 and R26: memory is proportional to the received bytes.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::sleep;
use veltix::limits::{HEADER_LEN, MAX_MESSAGE_SIZE};
use veltix::{Message, Router, ServerConfig, all};

use veltix_core::FrameDecoder;

use super::honest::{dial, echo, serve};
use crate::support::alone::{self, Alone, alone, measured, mib};
use crate::support::{ECHO, OTHER, frame};

const MIB: usize = 1 << 20;

/// The header of a message of the largest size.
fn bomb() -> Vec<u8> {
    let mut header = frame(ECHO.code(), 7, vec![7; 100]).split_to(HEADER_LEN).to_vec();
    let length = u32::try_from(MAX_MESSAGE_SIZE - HEADER_LEN).unwrap();
    // PROTOCOL.md: the length of the body is the fourth field.
    header[5..9].copy_from_slice(&length.to_be_bytes());
    header
}

#[test]
fn r01_memory_follows_what_came_and_not_what_was_announced() {
    alone!(Alone::within(Duration::from_secs(60)), async {
        const PEERS: usize = 500;
        let (hub, addr) = serve(ServerConfig::default(), Router::new()).await;
        let mut streams: Vec<_> = (0..PEERS).map(|_| dial(addr).unwrap()).collect();
        streams.iter().for_each(|stream| echo(stream, "warm").unwrap());
        let before = alone::memory();
        for (number, stream) in streams.iter_mut().enumerate() {
            // Some peers stop behind the header, some after one byte, some within a read.
            let body = [0, 1, 1_000][number % 3];
            stream.write_all(&[bomb(), vec![7; body]].concat()).unwrap();
        }
        alone::all_read(addr.port()).await;
        let grown = alone::peak().saturating_sub(before);
        measured(1, format_args!("{PEERS} bombs: {} more", mib(grown)));
        assert_eq!(hub.count(all()), Ok(PEERS), "the server waits for the rest");
        assert!(grown <= 24 * MIB, "{grown}");
    });
}

/// Buffers have room for up to six times the received bytes, so that large frames are not copied
/// repeatedly. Pages that were never written to are not resident memory.
#[test]
fn r07_what_is_held_is_at_most_twice_what_came() {
    const DECODERS: usize = 16;
    // Freed memory is returned to the system, so that each round begins at zero.
    let how = Alone::within(Duration::from_secs(60)).set("MALLOC_MMAP_THRESHOLD_", "131072");
    alone!(how, async {
        // The buffer of the third has just been extended for the complete frame.
        for came in [MIB, 3 * MIB, 4 * MIB + 64 * 1024, 6 * MIB, 9 * MIB] {
            let before = alone::memory();
            alone::reset_peak();
            let mut begun = Vec::new();
            for _ in 0..DECODERS {
                let mut decoder = FrameDecoder::new(MAX_MESSAGE_SIZE);
                let mut buffer = BytesMut::with_capacity(64 * 1024);
                buffer.extend_from_slice(&bomb());
                while buffer.len() < came {
                    // As a read does, into the available room.
                    let room = buffer.capacity() - buffer.len();
                    let piece = (came - buffer.len()).min(64 * 1024).min(room);
                    buffer.extend_from_slice(&[7; 64 * 1024][..piece]);
                    assert!(decoder.decode_batch(&mut buffer).unwrap().is_none());
                }
                begun.push(buffer);
            }
            let room: usize = begun.iter().map(BytesMut::capacity).sum();
            let grown = alone::peak().saturating_sub(before);
            let came = DECODERS * came;
            measured(
                7,
                format_args!(
                    "{} came of {DECODERS} frames: {} held, room for {}",
                    mib(came),
                    mib(grown),
                    mib(room)
                ),
            );
            assert!(grown <= 2 * came, "{grown} for {came}");
        }
    });
}

#[test]
fn r24_a_broadcast_is_in_memory_once() {
    alone!(Alone::within(Duration::from_secs(60)), async {
        const PEERS: usize = 500;
        let (hub, addr) = serve(ServerConfig::default(), Router::new()).await;
        let mut readers = Vec::new();
        for _ in 0..PEERS {
            let stream = dial(addr).unwrap();
            stream.set_nonblocking(true).unwrap();
            readers.push(tokio::net::TcpStream::from_std(stream).unwrap());
        }
        while hub.count(all()) != Ok(PEERS) {
            sleep(Duration::from_millis(1)).await;
        }
        let whole = HEADER_LEN + MIB;
        let before = alone::memory();
        alone::reset_peak();
        let delivery = hub.broadcast(&Message::new(OTHER, vec![7; MIB])).unwrap();
        assert_eq!(delivery.queued, PEERS);
        // The peers read one after the other into one buffer, so that only the server's memory
        // grows.
        let mut buffer = vec![0; 64 * 1024];
        for reader in &mut readers {
            let mut read = 0;
            while read < whole {
                read += reader.read(&mut buffer).await.unwrap();
            }
        }
        let grown = alone::peak().saturating_sub(before);
        measured(24, format_args!("1 MiB to {PEERS} peers: {} more", mib(grown)));
        assert!(grown <= 16 * MIB, "{grown}");
    });
}

#[test]
fn r26_what_is_kept_does_not_hold_the_buffer_that_it_came_in() {
    /// One in this number of messages is kept, so that each read buffer has one.
    const EVERY: usize = 2_000;
    /// The list of threats has 200 million. If bodies were not copied out, this number of messages
    /// would pin 64 MiB.
    const MESSAGES: usize = 2_000_000;
    alone!(Alone::within(Duration::from_secs(120)), async {
        let (count, kept) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let keep = Arc::clone(&kept);
        let router = Router::new().route(OTHER, move |message: Message| {
            if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) {
                keep.lock().unwrap().push(message.detach());
            }
        });
        let (_hub, addr) = serve(ServerConfig::default(), router).await;
        let mut stream = dial(addr).unwrap();
        let some = frame(OTHER.code(), 0, vec![7; 16]).repeat(EVERY);
        for _ in 0..MESSAGES / EVERY {
            stream.write_all(&some).unwrap();
        }
        echo(&stream, "all is read").unwrap();
        let peak = alone::peak();
        measured(26, format_args!("{} at most, after {MESSAGES} messages", mib(peak)));
        assert_eq!(kept.lock().unwrap().len(), MESSAGES / EVERY);
        assert!(peak <= 40 * MIB, "{peak}");
    });
}
