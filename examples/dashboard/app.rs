//! The server: an echo, a chat, and a stream of pictures. Only the newest pictures matter.

use veltix::{Hub, Msg, Peer, Router, ServerConfig, all, tag};

#[veltix::message]
pub(crate) enum App {
    #[message(code = 200, text, reply = Echoed)]
    Echo(String),
    #[message(code = 201, text)]
    Echoed(String),
    /// Sent to all other peers. A full outbox drops older lines for it.
    #[message(code = 202, on_full = "drop_oldest")]
    Say { text: String },
    /// Subscribes the sender to pictures.
    #[message(code = 203)]
    Subscribe,
    /// Only the newest picture of each camera is sent.
    #[message(code = 204, latest = "camera")]
    Picture { camera: u32, pixels: String },
    /// A request of the server.
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

/// The tag of peers that receive pictures.
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

/// Returns a configuration with small outboxes, so that slow readers are detected soon.
pub(crate) fn config() -> ServerConfig {
    ServerConfig::default().max_message_size(256 * 1024).outbox(32, 1024 * 1024)
}

/// Sends the newest picture of each camera to the subscribers.
pub(crate) async fn film(hub: &Hub, cameras: u32) -> veltix::Result<()> {
    for camera in 0..cameras {
        let pixels = "x".repeat(64 * 1024);
        hub.to(tag(VIEWER)).send(&Picture { camera, pixels })?;
    }
    Ok(())
}
