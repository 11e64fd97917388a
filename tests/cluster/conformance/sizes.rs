//! Messages of every size.

use bytes::Bytes;
use veltix::{Message, all};

use super::place::Place;
use super::scene::{SAY, Scene, reaches};

/// Sizes around the limits of a batch, of a part and of a broker, up to the largest message.
const SIZES: [usize; 14] = [
    0,
    1,
    63 << 10,
    64 << 10,
    (64 << 10) + 1,
    0,
    (512 << 10) - 100,
    512 << 10,
    600 << 10,
    (1 << 20) + 1,
    3,
    5 << 20,
    (10 << 20) - 15,
    7,
];

/// Returns a body in which each part differs from the others.
fn body(size: usize, seed: usize) -> Bytes {
    (0..size).map(|at| (at.wrapping_mul(31) >> 3 ^ at >> 16 ^ seed) as u8).collect()
}

pub(super) async fn messages_of_any_size_arrive_whole<P: Place>(place: P) {
    let scene = Scene::new(place).await;
    let mut readers = scene.readers(1).await;
    for (at, node) in scene.nodes.iter().enumerate() {
        // A queue holds 16 MiB. So the large ones wait until the ones before have arrived.
        for sizes in SIZES.chunk_by(|one, other| one + other < 12 << 20) {
            let bodies: Vec<_> = sizes.iter().map(|size| body(*size, at)).collect();
            for body in &bodies {
                let delivery = node.hub.broadcast(&Message::new(SAY, body.clone())).unwrap();
                assert_eq!(delivery.nodes, reaches(P::NODES - 1));
            }
            for reader in &mut readers {
                for body in &bodies {
                    let message = reader.next().await;
                    assert!(message.body() == body, "{} of {}", message.body().len(), body.len());
                }
            }
        }
    }
    // The direct stream carries them as well.
    let large = body(2 << 20, 99);
    for reader in &mut readers {
        let peer = scene.nodes[0].cluster.peer(reader.peer);
        assert_eq!(peer.send(&Message::new(SAY, large.clone())).unwrap(), reaches(1));
        assert!(reader.next().await.body() == &large);
    }
    scene.nodes[0].say_to(all(), "small");
    for reader in &mut readers {
        assert_eq!(reader.next().await.text().unwrap(), "small");
        assert!(reader.has_heard_all());
    }
}
