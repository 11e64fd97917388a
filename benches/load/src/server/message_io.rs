//! A hub on message-io's `FramedTcp`, after its documentation: one loop over the events of the
//! node, on the library's own thread.

use std::collections::HashSet;

use message_io::network::{Endpoint, NetEvent, Transport};
use message_io::node::{self, NodeHandler};

use super::announce;
use crate::wire::{Kind, Request};

pub(super) fn serve() {
    let (handler, listener) = node::split::<()>();
    let listens = handler.network().listen(Transport::FramedTcp, "127.0.0.1:0");
    announce(listens.expect("a port is free").1);
    let mut hub = Hub { handler, all: HashSet::new(), room: HashSet::new() };
    listener.for_each(move |event| match event.network() {
        // This event belongs to connections that the node itself has made.
        NetEvent::Connected(..) => {}
        NetEvent::Accepted(endpoint, _) => {
            hub.all.insert(endpoint);
        }
        NetEvent::Message(endpoint, payload) => hub.handle(endpoint, payload),
        NetEvent::Disconnected(endpoint) => {
            hub.all.remove(&endpoint);
            hub.room.remove(&endpoint);
        }
    });
}

struct Hub {
    handler: NodeHandler<()>,
    all: HashSet<Endpoint>,
    room: HashSet<Endpoint>,
}

impl Hub {
    fn handle(&mut self, from: Endpoint, payload: &[u8]) {
        match Request::of(payload) {
            Some(Request::Message(Kind::Sink)) => {}
            Some(Request::Message(Kind::Publish)) => self.send(&self.all, from, payload),
            Some(Request::Message(Kind::PublishTag)) => self.send(&self.room, from, payload),
            Some(Request::Message(Kind::Echo)) => {
                self.handler.network().send(from, payload);
            }
            Some(Request::Join) => {
                self.room.insert(from);
                self.handler.network().send(from, payload);
            }
            None => {
                self.handler.network().remove(from.resource_id());
            }
        }
    }

    fn send(&self, to: &HashSet<Endpoint>, except: Endpoint, payload: &[u8]) {
        for endpoint in to.iter().filter(|endpoint| **endpoint != except) {
            self.handler.network().send(*endpoint, payload);
        }
    }
}
