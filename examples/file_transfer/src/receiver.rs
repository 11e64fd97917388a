//! The receiving side: handlers that store chunks. They block on the disk, so they run on the server's pool
//! of threads. Handlers of one peer still run one after the other.

use veltix::{Extension, Msg, Peer, Router, State};

use super::protocol::{Chunk, Finish, Offer, Refused, Stored};
use super::store::{SharedUpload, Store};

pub(crate) fn router(store: Store) -> Router {
    Router::new().on_blocking(offer).on_blocking(chunk).on_blocking(finish).with_state(store)
}

/// Returns the offset at which to continue: an earlier connection may have stored a part of the file.
fn offer(
    peer: Peer,
    State(store): State<Store>,
    Msg(offer): Msg<Offer>,
) -> Result<Stored, Refused> {
    if store.has(&offer)? {
        return Ok(Stored { bytes: offer.size, complete: true });
    }
    let upload = store.upload(offer)?;
    let stored = upload.lock().taken_over_by(peer.id());
    // The upload is released with the connection.
    peer.attach(upload);
    Ok(stored)
}

fn chunk(
    peer: Peer,
    upload: Option<Extension<SharedUpload>>,
    Msg(chunk): Msg<Chunk>,
) -> Result<Stored, Refused> {
    let upload = offered(upload)?;
    let Some((offset, bytes)) = chunk.into_parts() else {
        return Err(Refused::because("a chunk begins with its offset"));
    };
    upload.lock().of(peer.id())?.write(offset, &bytes)
}

fn finish(
    peer: Peer,
    State(store): State<Store>,
    upload: Option<Extension<SharedUpload>>,
    Msg(Finish): Msg<Finish>,
) -> Result<Stored, Refused> {
    let upload = offered(upload)?;
    let stored = upload.lock().of(peer.id())?.finish(&store)?;
    peer.detach::<SharedUpload>();
    Ok(stored)
}

fn offered(upload: Option<Extension<SharedUpload>>) -> Result<SharedUpload, Refused> {
    match upload {
        Some(Extension(upload)) => Ok(upload),
        None => Err(Refused::because("offer the file first")),
    }
}
