//! The server: an echo, a chat, and a stream of pictures of which only the newest matter.

use veltix::{Hub, Msg, Peer, Router, ServerConfig, all, tag};

#[veltix::message]
pub(crate) enum App {
    #[message(code = 200, text, reply = Echoed)]
    Echo(String),
    #[message(code = 201, text)]
    Echoed(String),
    /// Passed on to everybody else. For who does not keep up, others are dropped for it.
    #[message(code = 202, on_full = "drop_oldest")]
    Say { text: String },
    /// From now on, send me pictures.
    #[message(code = 203)]
    Subscribe,
    /// Of each camera only the newest is worth sending.
    #[message(code = 204, latest = "camera")]
    Picture { camera: u32, pixels: String },
    /// What the server asks.
    #[message(code = 205, reply = Fine)]
    HowAreYou,
    #[message(code = 206)]
    Fine,
    /// Its handler fails.
    #[message(code = 207)]
    Fail,
    /// Its handler panics, which ends the connection.
    #[message(code = 208)]
    Panic,
}

/// Who wants pictures.
pub(crate) const VIEWER: &str = "viewer";

async fn echo(Msg(Echo(text)): Msg<Echo>) -> Echoed {
    Echoed(text)
}

async fn say(hub: Hub, peer: Peer, Msg(say): Msg<Say>) -> veltix::Result<()> {
    hub.to(all()).except(&peer).send(&say)?;
    Ok(())
}

async fn subscribe(peer: Peer, Msg(_): Msg<Subscribe>) -> veltix::Result<()> {
    peer.set_tag(VIEWER)?;
    Ok(())
}

async fn fail(Msg(_): Msg<Fail>) -> Result<(), &'static str> {
    Err("it fails, as it should")
}

async fn panic(Msg(_): Msg<Panic>) {
    panic!("it panics, as it should");
}

pub(crate) fn router() -> Router {
    Router::new().on(echo).on(say).on(subscribe).on(fail).on(panic)
}

/// Small outboxes, so that it is soon seen who reads too slowly.
pub(crate) fn config() -> ServerConfig {
    ServerConfig::default().max_message_size(256 * 1024).outbox(32, 1024 * 1024)
}

/// Sends each camera's newest picture to who wants it.
pub(crate) async fn film(hub: &Hub, cameras: u32) -> veltix::Result<()> {
    for camera in 0..cameras {
        let pixels = "x".repeat(64 * 1024);
        hub.to(tag(VIEWER)).send(&Picture { camera, pixels })?;
    }
    Ok(())
}
