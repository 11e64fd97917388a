//! The load for the board: clients that talk, one that reads too slowly, one that makes errors.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use veltix::typed::TypedMessage;
use veltix::{Client, ClientConfig, Hub, Message, MessageType, Msg, Reconnect, Router, tag};

use crate::app::{Echo, Fail, Fine, HowAreYou, Panic, Picture, Say, Subscribe, VIEWER, film};

const TALKERS: u32 = 8;
const CAMERAS: u32 = 4;
/// A type that the server does not know.
const SECRET: MessageType = MessageType::new(499, "secret", "");

/// Starts all clients as tasks. They end when the set is dropped.
pub(crate) fn start(addr: &str, hub: &Hub) -> JoinSet<veltix::Result<()>> {
    let mut load = JoinSet::new();
    for number in 0..TALKERS {
        load.spawn(talk(addr.to_owned(), number));
    }
    load.spawn(look_on(addr.to_owned(), Duration::ZERO));
    load.spawn(look_on(addr.to_owned(), Duration::from_millis(300)));
    load.spawn(stumble(addr.to_owned()));
    load.spawn(serve_pictures(hub.clone()));
    load.spawn(ask_around(hub.clone()));
    load
}

/// Returns an interval that skips no pause after a delay. Otherwise an overloaded machine would catch up forever.
fn every(period: Duration) -> Interval {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// Sends echoes all the time, and a line to all peers from time to time.
async fn talk(addr: String, number: u32) -> veltix::Result<()> {
    let router = Router::new().on(|Msg(_): Msg<HowAreYou>| Fine).on(|Msg(_): Msg<Say>| ());
    let client = Client::connect(ClientConfig::default().addr(addr), router).await?;
    let mut pace = every(Duration::from_millis(2));
    for said in 0.. {
        pace.tick().await;
        client.request(&Echo(format!("{number}: {said}"))).await?;
        if said % 50 == 0 {
            client.send(&Say { text: format!("{number} says {said}") }).await?;
        }
    }
    Ok(())
}

/// Subscribes to pictures and takes `pause` for each of them. Its inbox is small, so that reading pauses
/// meanwhile.
async fn look_on(addr: String, pause: Duration) -> veltix::Result<()> {
    let router = Router::new()
        .on(|Msg(_): Msg<HowAreYou>| Fine)
        .on(move |Msg(_): Msg<Picture>| sleep(pause))
        .on(|Msg(_): Msg<Say>| ());
    let config = ClientConfig::default().addr(addr).inbox(1, 1);
    let client = Client::connect(config, router).await?;
    client.send(&Subscribe).await?;
    client.peer().closed().await;
    Ok(())
}

/// Makes every error: a body that cannot be parsed, messages whose handlers fail and panic, and an unknown
/// code. It does not answer requests, and reconnects each time that its connection closes.
async fn stumble(addr: String) -> veltix::Result<()> {
    let reconnect = Reconnect::fixed(Duration::from_millis(200));
    let config = ClientConfig::default().addr(addr).reconnect(reconnect);
    let client = Client::connect(config, Router::new().fallback(|_: Message| ())).await?;
    let not_text = Message::new(Echo::TYPE, vec![0xff]);
    for step in 0.. {
        sleep(Duration::from_millis(150)).await;
        // Between two connections this fails, which is expected.
        let _ = match step % 4 {
            0 => client.try_send(&not_text),
            1 => client.try_send(&Fail),
            2 => client.try_send(&Message::from_text(SECRET, "psst")),
            _ => client.try_send(&Panic),
        };
    }
    Ok(())
}

/// Sends pictures at the rate of a film.
async fn serve_pictures(hub: Hub) -> veltix::Result<()> {
    let mut pace = every(Duration::from_millis(20));
    loop {
        pace.tick().await;
        film(&hub, CAMERAS).await?;
    }
}

/// Sends a request to all peers without pictures, each second.
async fn ask_around(hub: Hub) -> veltix::Result<()> {
    let mut pace = every(Duration::from_secs(1));
    loop {
        pace.tick().await;
        let survey = hub.to(!tag(VIEWER)).request(&HowAreYou)?;
        survey.timeout(Duration::from_millis(100)).await;
    }
}
