//! A player without a person: it moves in circles and remembers the positions of the others.

use std::collections::HashMap;
use std::f32::consts::TAU;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};
use veltix::{Client, ClientConfig, Msg, Router, SendError, State};

use super::arena::{Enter, Left, Move, Position, SIDE};

/// The time between two moves, at 64 Hz.
const TICK: Duration = Duration::from_nanos(1_000_000_000 / 64);

/// The duration of one round in seconds.
const ROUND: f32 = 8.0;

/// The view of the arena that a bot has.
#[derive(Clone)]
struct View {
    positions: Arc<Mutex<HashMap<u64, Position>>>,
    /// The time that a bot takes for each position. With a long time it falls behind.
    look: Duration,
}

async fn seen(State(view): State<View>, Msg(position): Msg<Position>) {
    view.positions.lock().expect("no holder panics").insert(position.player, position);
    if !view.look.is_zero() {
        sleep(view.look).await;
    }
}

fn left(State(view): State<View>, Msg(left): Msg<Left>) {
    view.positions.lock().expect("no holder panics").remove(&left.player);
}

/// A player that has entered.
pub(crate) struct Bot {
    client: Client,
}

impl Bot {
    /// Connects and enters. `look` is the time that the bot takes for each received position.
    pub(crate) async fn join(addr: &str, enter: &Enter, look: Duration) -> veltix::Result<Self> {
        let view = View { positions: Arc::default(), look };
        // A bot remembers no names, so it has no route for `Joined`.
        let router = Router::new().on(seen).on(left).with_state(view);
        let client = Client::connect(ClientConfig::default().addr(addr), router).await?;
        client.request(enter).await?;
        Ok(Self { client })
    }

    /// Plays until the server ends. The angle in radians is the start on the circle.
    pub(crate) async fn play(self, angle: f32) -> veltix::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let begun = ticks.tick().await;
        loop {
            let now = ticks.tick().await;
            let rounds = (now - begun).as_secs_f32() / ROUND;
            // Without room in the outbox this move is skipped: the next one replaces it.
            match self.client.try_send(&step(angle + rounds * TAU)) {
                Ok(()) | Err(SendError::Full) => {}
                Err(SendError::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns the point of the circle at this angle.
fn step(angle: f32) -> Move {
    let (sin, cos) = angle.sin_cos();
    Move { x: SIDE / 2.0 * (1.0 + cos), y: SIDE / 2.0 * (1.0 + sin) }
}
