//! Who may come in: slots for peers, caps on handshakes that are still pending, and how fast
//! connections are accepted.

mod handshakes;
mod pace;
mod slots;

pub(crate) use handshakes::{Handshakes, Ticket};
pub(crate) use pace::Pace;
pub(crate) use slots::{Full, Slot, Slots};
