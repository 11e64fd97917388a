use std::rc::Rc;

use veltix::Peer;

#[veltix::debug_handler]
async fn held(peer: Peer) {
    let count = Rc::new(1);
    let _ = peer.ping().await;
    println!("{count}");
}

fn main() {}
