//! The application of the nodes and of their clients. It records what it observes.

use std::time::Duration;

use tokio::time::sleep;
use veltix::handler::Handler as _;
use veltix::{Message, Peer, Router};
use veltix_cluster::{NodeId, PeerRef};

use super::super::body::{ANSWER, ASK, Body, NEWS, PRICE, Wish};
use super::super::ledger::line_of;
use super::super::record::Record;
use super::ledger::{Heard, Ledger};
use super::watch::Watches;

/// The number of questions that a client answers at once: messages do not wait behind one.
const AT_ONCE: usize = 100;

/// A clone is a handle of the same application.
#[derive(Clone)]
pub(super) struct App {
    pub(super) record: Record,
    pub(super) ledger: Ledger,
    pub(super) watches: Watches,
}

impl App {
    pub(super) fn new(record: &Record) -> Self {
        let (ledger, watches) = (Ledger::default(), Watches::default());
        Self { record: record.clone(), ledger, watches }
    }

    /// Creates a new body.
    pub(super) fn body(&self, wish: Wish, filling: usize) -> Body {
        Body { number: self.ledger.number(), except: 0, wish, filling }
    }

    /// Creates the router of a node, which listens at this host.
    pub(super) fn node_router(&self, host: usize, node: NodeId) -> Router {
        let [enters, leaves] = [(); 2].map(|()| self.clone());
        Router::new()
            .on_connect(move |peer: Peer| {
                let app = enters.clone();
                async move {
                    let (line, name) = ((host, line_of(&peer)), PeerRef { node, peer: peer.id() });
                    app.record.note(format_args!("{line:?} enters {name}"));
                    let admitted = app.record.now();
                    app.ledger.seat(line, |seat| {
                        (seat.name, seat.admitted) = (Some(name), admitted);
                        seat.peer = Some(peer);
                    });
                }
            })
            .on_disconnect(move |peer: Peer| leaves.leaves(host, &peer))
    }

    /// Creates the router of a client of this host.
    pub(super) fn client_router(&self, host: usize) -> Router {
        let [asked, leaves] = [(); 2].map(|()| self.clone());
        let asks = move |peer: Peer, message: Message| {
            let app = asked.clone();
            async move { app.answer(host, &peer, &message).await }
        };
        let router = Router::new()
            .on_disconnect(move |peer: Peer| leaves.leaves(host, &peer))
            .route(ASK, asks.concurrent(AT_ONCE));
        [NEWS, PRICE].into_iter().fold(router, |router, message_type| {
            let app = self.clone();
            router.route(message_type, move |peer: Peer, message: Message| {
                app.hears(host, &peer, &message);
            })
        })
    }

    fn leaves(&self, host: usize, peer: &Peer) {
        let line = (host, line_of(peer));
        self.record.note(format_args!("{line:?} is left"));
        self.ledger.leaves(line, self.record.now());
    }

    fn read(&self, message: &Message) -> Body {
        Body::read(message.body()).unwrap_or_else(|| {
            self.record.wrong(format_args!("a damaged body is handled"));
            Body { number: 0, except: 0, wish: Wish::Nothing, filling: 0 }
        })
    }

    fn hears(&self, host: usize, peer: &Peer, message: &Message) {
        let (line, number) = ((host, line_of(peer)), self.read(message).number);
        let at = self.record.now();
        self.record.note(format_args!("{line:?} hears {number}"));
        self.ledger.seat(line, |seat| seat.heard.push(Heard { number, at }));
    }

    async fn answer(&self, host: usize, peer: &Peer, message: &Message) -> Message {
        let (line, body) = ((host, line_of(peer)), self.read(message));
        self.record.note(format_args!("{line:?} is asked {}", body.number));
        self.ledger.seat(line, |seat| seat.asked.push(body.number));
        if let Wish::Wait(time) = body.wish {
            sleep(Duration::from_millis(time.into())).await;
        }
        body.message(ANSWER)
    }
}
