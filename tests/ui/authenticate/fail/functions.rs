//! Functions that cannot authenticate a peer: each message says which form fits.

use veltix::{HandshakeInfo, Peer, Refuse, Router, State};

#[derive(Clone)]
struct Db;

/// The info comes last.
async fn turned_around(_: HandshakeInfo, _: State<Db>) -> Result<(), Refuse> {
    Ok(())
}

/// There is no peer yet.
async fn with_peer(_: Peer, _: HandshakeInfo) -> Result<(), Refuse> {
    Ok(())
}

/// A plain function returns no future.
fn plain(_: HandshakeInfo) -> Result<(), Refuse> {
    Ok(())
}

/// Another error than `Refuse`.
async fn another_error(_: HandshakeInfo) -> Result<(), String> {
    Ok(())
}

/// The state is not that of the router.
async fn another_state(_: State<Db>, _: HandshakeInfo) -> Result<(), Refuse> {
    Ok(())
}

fn main() {
    let _ = Router::<Db>::new().authenticate(turned_around);
    let _ = Router::<Db>::new().authenticate(with_peer);
    let _ = Router::<()>::new().authenticate(plain);
    let _ = Router::<()>::new().authenticate(another_error);
    let _ = Router::<()>::new().authenticate(another_state);
}
