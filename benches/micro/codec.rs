//! Decoding and encoding of frames with bodies of three sizes.
//!
//! Run with `cargo bench -p veltix-micro --bench codec`. Decoding reads every frame of a block of 64 KiB, or of one
//! frame if it is larger, as a server does after a read. Encoding writes one frame with its checksum
//! into a reused buffer.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use veltix_core::limits::{MAX_MESSAGE_SIZE, READ_BUFFER};
use veltix_core::{Frame, FrameDecoder, RequestId};

/// The sizes of the bodies: a chat line, a page, and the largest size that is still common.
const BODIES: [usize; 3] = [64, 1024, 64 * 1024];

fn frame(body: Bytes) -> Frame {
    Frame::new(200, RequestId::new(7), body)
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for size in BODIES {
        let frame = frame(vec![b'x'; size].into());
        let mut block = BytesMut::new();
        for _ in 0..(READ_BUFFER / frame.len()).max(1) {
            frame.write_to(&mut block);
        }
        group.throughput(Throughput::Bytes(block.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            let mut decoder = FrameDecoder::new(MAX_MESSAGE_SIZE);
            let fresh = || BytesMut::from(&block[..]);
            bencher.iter_batched_ref(
                fresh,
                |block| {
                    while let Some(message) = decoder.decode(block).expect("the frames are whole") {
                        black_box(message);
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for size in BODIES {
        let body = Bytes::from(vec![b'x'; size]);
        let mut buffer = BytesMut::new();
        group.throughput(Throughput::Bytes(frame(body.clone()).len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                buffer.clear();
                frame(black_box(&body).clone()).write_to(&mut buffer);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
