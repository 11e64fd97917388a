//! The application of both sides: it executes the wishes in messages and records its observations.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use veltix::{Delivery, Disconnected, Hub, Message, Peer, Router, Target, all, tag};

use super::body::{ANSWER, ASK, Body, NEWS, PRICE, SAY, WELCOME, Wish};
use super::ledger::{Ledger, Side, line_of};
use super::plan::LONGEST;
use super::record::Record;

/// A clone is a handle of the same application.
#[derive(Clone)]
pub(super) struct App {
    pub(super) record: Record,
    pub(super) ledger: Ledger,
    rng: Arc<Mutex<Rng>>,
}

impl App {
    pub(super) fn new(record: &Record, rng: Rng) -> Self {
        let rng = Arc::new(Mutex::new(rng));
        Self { record: record.clone(), ledger: Ledger::default(), rng }
    }

    pub(super) fn roll<R>(&self, roll: impl FnOnce(&mut Rng) -> R) -> R {
        roll(&mut self.rng.lock().expect("nobody panics with it"))
    }

    /// Creates a new body.
    pub(super) fn body(&self, wish: Wish) -> Body {
        let longest = self.roll(|rng| [0, 40, LONGEST - 100][rng.usize(..3)]);
        let filling = self.roll(|rng| rng.usize(..=longest));
        Body { number: self.ledger.number(), except: 0, wish, filling }
    }

    /// Creates the router of a server.
    pub(super) fn server_router(&self) -> Router {
        let app = self.clone();
        self.router(Side::Server).route(SAY, move |hub: Hub, peer: Peer, message: Message| {
            let app = app.clone();
            async move { app.say(&hub, &peer, &message).await }
        })
    }

    /// Creates the router of a client.
    pub(super) fn client_router(&self) -> Router {
        [NEWS, PRICE, WELCOME].into_iter().fold(
            self.router(Side::Client),
            |router, message_type| {
                let app = self.clone();
                router.route(message_type, move |peer: Peer, message: Message| {
                    let app = app.clone();
                    async move { app.take(&peer, &message).await }
                })
            },
        )
    }

    /// Adds the routes of both sides.
    fn router(&self, side: Side) -> Router {
        let [connects, asked, leaves] = [(); 3].map(|()| self.clone());
        Router::new()
            .on_connect(move |peer: Peer| {
                let app = connects.clone();
                async move { app.connects(&peer, side).await }
            })
            .on_disconnect(move |peer: Peer, outcome: Disconnected| {
                let line = line_of(&peer);
                leaves.record.note(format_args!("{line} is left by {side:?}: {}", outcome.reason));
                leaves.ledger.book(&peer, side, |book| book.left.push(outcome));
            })
            .route(ASK, move |peer: Peer, message: Message| {
                let app = asked.clone();
                async move { app.answer(&peer, side, &message).await }
            })
    }

    async fn connects(&self, peer: &Peer, side: Side) -> Result<(), &'static str> {
        let _running = self.ledger.running(side);
        let line = line_of(peer);
        self.record.note(format_args!("{line} enters {side:?}"));
        self.ledger.book(peer, side, |book| book.peer = Some(peer.clone()));
        if self.roll(|rng| rng.u8(..3)) == 0 {
            self.wait(self.roll(|rng| rng.u16(..80))).await;
        }
        if self.roll(|rng| rng.u8(..8)) == 0 {
            self.ask(peer, side, Wish::Nothing).await;
        }
        if self.roll(|rng| rng.u8(..3)) == 0 {
            // The limits reject the message, or the peer has left. No check depends on it.
            let _ = peer.join("room", self.roll(|rng| rng.i64(..3)));
        }
        let lets_in = side == Side::Client || self.roll(|rng| rng.u8(..20)) > 0;
        if lets_in && side == Side::Server {
            let body = self.body(Wish::Nothing);
            if peer.try_send(&body.message(WELCOME)).is_ok() {
                self.ledger.accepted(peer, side, body.number, true);
            }
        }
        self.record.note(format_args!("{line} is let in by {side:?}: {lets_in}"));
        self.ledger.book(peer, side, |book| book.welcomed = Some(lets_in));
        if lets_in { Ok(()) } else { Err("not today") }
    }

    /// Records a message and returns its body.
    fn handles(&self, peer: &Peer, side: Side, message: &Message) -> Body {
        let line = line_of(peer);
        let body = Body::read(message.body());
        let number = body.map_or(0, |body| body.number);
        self.record.note(format_args!("{line}: {side:?} handles {number} of {}", message.code()));
        let welcomed = self.ledger.book(peer, side, |book| {
            book.handled.push(number);
            book.welcomed
        });
        if welcomed != Some(true) {
            self.record
                .wrong(format_args!("{line}: {number} is handled before on_connect has returned"));
        }
        body.unwrap_or_else(|| {
            self.record.wrong(format_args!("{line}: a damaged body is handled"));
            Body { number, except: 0, wish: Wish::Nothing, filling: 0 }
        })
    }

    async fn say(&self, hub: &Hub, peer: &Peer, message: &Message) {
        let _running = self.ledger.running(Side::Server);
        match self.handles(peer, Side::Server, message).wish {
            Wish::Wait(time) => self.wait(time).await,
            Wish::Room(room) => drop(peer.join("room", i64::from(room))),
            Wish::AskBack => self.ask(peer, Side::Server, Wish::Nothing).await,
            Wish::Panic => {
                self.publish(hub, Some(peer), Wish::Nothing);
                // The panic hook, which prints the panic, does not run.
                std::panic::resume_unwind(Box::new("as planned"));
            }
            Wish::Nothing | Wish::Key(_) => {}
        }
        self.publish(hub, Some(peer), Wish::Nothing);
    }

    async fn take(&self, peer: &Peer, message: &Message) {
        if let Wish::Wait(time) = self.handles(peer, Side::Client, message).wish {
            self.wait(time).await;
        }
    }

    async fn answer(&self, peer: &Peer, side: Side, message: &Message) -> Message {
        let _running = self.ledger.running(side);
        let body = self.handles(peer, side, message);
        if let Wish::Wait(time) = body.wish {
            self.wait(time).await;
        }
        body.message(ANSWER)
    }

    async fn wait(&self, milliseconds: u16) {
        sleep(Duration::from_millis(milliseconds.into())).await;
    }

    /// Calls a peer, and checks that the call completes in time and that the answer belongs to it.
    pub(super) async fn ask(&self, peer: &Peer, side: Side, wish: Wish) {
        let body = self.body(wish);
        let (line, number) = (line_of(peer), body.number);
        self.ledger.accepted(peer, side, number, false);
        let call = self.ledger.call();
        let timeout = self.roll(|rng| rng.u64(20..400));
        let until = self.record.now() + timeout;
        let request = peer.request(&body.message(ASK)).timeout(Duration::from_millis(timeout));
        match request.await {
            Ok(answer) => {
                let answered = Body::read(answer.body()).map(|body| body.number);
                self.record.note(format_args!("{line}: {number} is answered"));
                if answer.code() != ANSWER.code() || answered != Some(number) {
                    self.record.wrong(format_args!(
                        "{line}: {number} is answered by {answered:?} of {}",
                        answer.code()
                    ));
                }
            }
            Err(error) => self.record.note(format_args!("{line}: {number} fails: {error}")),
        }
        drop(call);
        if self.record.now() > until + 1 {
            self.record.wrong(format_args!("{line}: {number} did not complete in time"));
        }
    }

    /// Returns the peers that match a target. All of them must have been admitted.
    pub(super) fn listed(&self, hub: &Hub, target: &Target) -> Vec<Peer> {
        let mut peers = hub.list(target.clone()).expect("it is within the limits");
        peers.sort_by_key(Peer::id);
        for peer in &peers {
            let welcomed = self.ledger.book(peer, Side::Server, |book| book.welcomed);
            if welcomed != Some(true) {
                let line = line_of(peer);
                self.record.wrong(format_args!("{line} is listed before on_connect has returned"));
            }
        }
        peers
    }

    /// Broadcasts a message to all peers or to a room.
    pub(super) fn publish(&self, hub: &Hub, except: Option<&Peer>, wish: Wish) {
        let target = match self.roll(|rng| rng.i64(..6)) {
            room @ 0..3 => tag("room").is(room),
            _ => all(),
        };
        let peers = self.listed(hub, &target);
        let body = Body { except: except.map_or(0, line_of), ..self.body(wish) };
        let message = match wish {
            Wish::Key(key) => body.message(PRICE).latest(u64::from(key)),
            _ => body.message(NEWS),
        };
        let mut broadcast = hub.to(target);
        if let Some(peer) = except {
            broadcast = broadcast.except(peer);
        }
        let Delivery { matched, queued, dropped, .. } =
            broadcast.send(&message).expect("it is within the limits");
        let number = body.number;
        self.record.note(format_args!("{number} is broadcast to {matched}: {queued}, {dropped}"));
        let meant = peers.iter().filter(|peer| except != Some(*peer));
        if matched != queued + dropped || matched != meant.clone().count() {
            self.record.wrong(format_args!("{number}: {matched} are not {queued} and {dropped}"));
        }
        for peer in meant {
            self.ledger.accepted(peer, Side::Server, number, dropped == 0);
        }
    }
}
