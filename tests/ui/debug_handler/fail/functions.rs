#![allow(unused)]

use veltix::{Peer, State};

#[veltix::debug_handler]
async fn generic<T: Send>(value: T) {}

#[veltix::debug_handler]
async fn implied(peer: impl Clone) {}

#[veltix::debug_handler]
async fn two_states(State(a): State<u8>, State(b): State<u16>) {}

#[veltix::debug_handler(states = u8)]
async fn unknown(peer: Peer) {}

#[veltix::debug_handler(crate = veltix)]
async fn relative(peer: Peer) {}

#[veltix::debug_handler]
struct NotAFunction;

#[veltix::debug_handler]
async fn method(self, peer: Peer) {}

fn main() {
    // All of them are there all the same.
    let _ = (two_states, unknown, relative, NotAFunction);
}
