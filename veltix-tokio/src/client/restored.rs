//! [`Restored`]: the messages that a client sends on each connection.

use tokio::time::Instant;
use veltix_core::limits::{FRAME_OVERHEAD, RESTORED_BYTES, RESTORED_MESSAGES};
use veltix_core::{Frame, Message};

use crate::error::RestoreError;
use crate::flush;
use crate::log::log_limited;
use crate::outbox::Push;
use crate::peer::Peer;
use crate::sync::Mutex;

/// The messages that a client sends on each connection, in the order of their registration.
#[derive(Debug, Default)]
pub(super) struct Restored(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    /// Few enough for a search from the front.
    messages: Vec<(Box<str>, Message)>,
    /// Bytes of keys and messages, each with its overhead.
    bytes: usize,
}

impl Restored {
    /// Registers a message, in place of one with the same key.
    pub(super) fn set(&self, key: Box<str>, message: Message) -> Result<(), RestoreError> {
        let message = message.detach();
        let mut list = self.0.lock();
        let index = list.messages.iter().position(|(of, _)| *of == key);
        let before = index.map_or(0, |index| charge(&list.messages[index]));
        let entry = (key, message);
        let bytes = list.bytes - before + charge(&entry);
        let is_full = index.is_none() && list.messages.len() >= RESTORED_MESSAGES;
        if is_full || bytes > RESTORED_BYTES {
            let (messages, bytes) = (RESTORED_MESSAGES, RESTORED_BYTES);
            return Err(RestoreError::Full { messages, bytes });
        }
        list.bytes = bytes;
        match index {
            Some(index) => list.messages[index] = entry,
            None => list.messages.push(entry),
        }
        Ok(())
    }

    /// Removes the message with this key. Returns false if there was none.
    pub(super) fn remove(&self, key: &str) -> bool {
        let mut list = self.0.lock();
        let Some(index) = list.messages.iter().position(|(of, _)| **of == *key) else {
            return false;
        };
        let entry = list.messages.remove(index);
        list.bytes -= charge(&entry);
        true
    }

    /// Queues all messages for a new connection. Each connection has a server with limits of its own: a
    /// message over its limit would end the connection, and every later one.
    pub(super) fn send(&self, peer: &Peer) {
        let messages: Vec<_> =
            self.0.lock().messages.iter().map(|(_, message)| message.clone()).collect();
        let session = peer.session();
        for message in messages {
            if let Err(error) = session.check_size(message.body().len()) {
                let code = message.code();
                session.outbox().refuse_too_large(code);
                let due = session.services().logs().too_large.decide(Instant::now());
                log_limited!(warn, due, %peer, code, %error, "a restored message is too large for the server");
                continue;
            }
            let frame = Frame::from(message.with_id(session.ids().plain()));
            // The list has limits of its own, so it may exceed those of the outbox.
            if let Push::Queued(queued) = session.outbox().push_beyond(frame) {
                flush::schedule(session, queued);
            }
        }
    }
}

fn charge((key, message): &(Box<str>, Message)) -> usize {
    key.len() + message.body().len() + FRAME_OVERHEAD
}

#[cfg(test)]
mod tests {
    use veltix_core::MessageType;

    use super::*;

    fn message(bytes: usize) -> Message {
        Message::new(MessageType::new(200, "join", ""), vec![0; bytes])
    }

    #[test]
    fn the_list_is_bounded_in_messages_and_in_bytes() {
        let restored = Restored::default();
        let set = |key: String, bytes| restored.set(key.into(), message(bytes));
        for key in 0..RESTORED_MESSAGES {
            set(key.to_string(), 1).expect("there is room");
        }
        assert!(matches!(set("one more".to_owned(), 1), Err(RestoreError::Full { .. })));
        set("0".to_owned(), 1).expect("it takes the place of the first");
        assert!(restored.remove("0") && !restored.remove("0"));
        set("one more".to_owned(), 1).expect("there is room again");
        for key in 1..RESTORED_MESSAGES {
            assert!(restored.remove(&key.to_string()));
        }
        assert!(matches!(set("large".to_owned(), RESTORED_BYTES), Err(RestoreError::Full { .. })));
        set("one more".to_owned(), RESTORED_BYTES / 2).expect("it fits");
        assert!(restored.remove("one more"));
        assert_eq!(restored.0.lock().bytes, 0);
    }
}
