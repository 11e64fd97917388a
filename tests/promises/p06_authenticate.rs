//! Promise 6 begins before `on_connect`: a connection is no peer before it is authenticated.

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Duration, sleep};
use veltix::{HandshakeInfo, Message, Refuse, Router, all};

use super::paused;
use crate::support::{ECHO, PYTHON, World, frame, said};

#[test]
pub(crate) fn a_peer_is_neither_listed_nor_counted_before_it_is_known_who_it_is() {
    paused(async {
        let (handled, mut says) = unbounded_channel();
        let connected = handled.clone();
        let router = Router::new()
            .authenticate(async |_: HandshakeInfo| {
                sleep(Duration::from_secs(3)).await;
                Err::<(), _>(Refuse::new("nobody knows you"))
            })
            .on_connect(move || connected.send("connected").expect("the test listens"))
            .route(ECHO, move |_: Message| handled.send("handled").expect("the test listens"));
        let world = World::new(router);
        let mut raw = world.silent().await;
        raw.hear().await.expect("the server's hello");
        let early = [said(PYTHON), frame(ECHO.code(), 0, "").to_vec()].concat();
        raw.write(&early).await.expect("the server reads");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.hub.count(all()), Ok(0), "it is listed");
        let refusal = raw.hear().await.expect("the server's refusal");
        assert_eq!(refusal, r#"{"error": "nobody knows you"}"#);
        assert!(raw.all().await.is_empty(), "nothing else is sent, and the stream ends");
        assert_eq!(world.hub.count(all()), Ok(0));
        assert!(says.try_recv().is_err(), "none of its messages is handled");
    });
}
