//! A frame that has begun and finds no room in the server's budget for memory: reading from the peer
//! pauses until there is room, or until this peer, or one that holds more, is evicted.

use tokio::time::Instant;
use veltix_core::limits::{MEMORY_HOLES, MEMORY_PATIENCE, MEMORY_RETRY};

use super::ConnectionTask;

/// The wait of one frame for memory.
pub(super) struct MemoryWait {
    since: Instant,
    /// The time of the next attempt.
    pub(super) retry_at: Instant,
    /// The capacity that the buffer needs.
    wanted: usize,
}

impl ConnectionTask {
    /// Lets the buffer grow for the frame in it, if there is memory.
    #[cold]
    pub(super) fn grant_memory(&mut self) -> bool {
        let wanted = self.reading.wanted();
        if self.has_memory(wanted) || fault!("room_for_everybody") {
            self.reading.allow(wanted);
            return true;
        }
        let now = Instant::now();
        let retry_at = now + MEMORY_RETRY;
        self.reading.wait_for_memory(MemoryWait { since: now, retry_at, wanted });
        false
    }

    fn has_memory(&self, wanted: usize) -> bool {
        let held = MEMORY_HOLES * wanted + self.handlers.inbox_charge();
        self.session().reading().try_set(held)
    }

    /// Tries again to get memory, when it is time.
    pub(super) fn retry_memory(&mut self, now: Instant) {
        let Some(wait) = self.reading.memory_wait() else { return };
        if wait.retry_at > now {
            return;
        }
        let (wanted, waited) = (wait.wanted, now - wait.since);
        if self.has_memory(wanted) {
            self.reading.end_memory_wait();
            self.reading.allow(wanted);
            return;
        }
        if waited >= MEMORY_PATIENCE {
            let held = self.session().reading().bytes();
            self.endpoint.make_room((MEMORY_HOLES * wanted).saturating_sub(held), now);
        }
        if let Some(wait) = self.reading.memory_wait() {
            // The longer the wait, the less a moment matters.
            wait.retry_at = now + (waited / 4).clamp(MEMORY_RETRY, MEMORY_PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;
    use tokio::time::{Duration, sleep};
    use veltix_core::{Message, MessageType, all};

    use crate::transport::memory;
    use crate::{Client, ClientConfig, Router, Server, ServerConfig};
    use veltix_core::limits::{INBOX_MESSAGES, MEMORY_STEP, READ_BUFFER};

    const MESSAGE: MessageType = MessageType::new(200, "message", "");

    /// Messages that wait for a handler, in the inbox and before it, are counted while they wait.
    #[tokio::test(start_paused = true)]
    async fn what_waits_is_counted_until_it_is_handled() {
        let (listener, connector) = memory(1 << 20);
        let door = Arc::new(Semaphore::new(0));
        let handler = {
            let door = Arc::clone(&door);
            move || {
                let door = Arc::clone(&door);
                async move { door.acquire().await.expect("it stays").forget() }
            }
        };
        let router = Router::new().route(MESSAGE, handler);
        let server = Server::with_listener(listener, ServerConfig::default(), router);
        let server = server.expect("the config works");
        let hub = server.hub();
        tokio::spawn(server.run());
        let connect = Client::connect_with(connector, ClientConfig::default(), Router::new());
        let client = connect.await.expect("it connects");
        let peer = hub.list(all()).expect("it is valid").pop().expect("it is listed");
        let quiet = || sleep(Duration::from_millis(1));
        let message = Message::new(MESSAGE, vec![7; 1_000]);
        // The first runs, and the others fill the inbox.
        let mut sent = INBOX_MESSAGES + 1;
        for _ in 0..sent {
            client.send(&message).await.expect("there is room");
            quiet().await;
        }
        let inbox = peer.session().held();
        let least = INBOX_MESSAGES * 1_000;
        assert!((least..2 * least).contains(&inbox), "{inbox}");
        for _ in 0..200 {
            client.send(&message).await.expect("there is room");
        }
        sent += 200;
        quiet().await;
        // There is room for one message, and many come together.
        door.add_permits(1);
        quiet().await;
        let behind = peer.session().held() - inbox;
        assert!((READ_BUFFER / 2..=READ_BUFFER + MEMORY_STEP).contains(&behind), "{behind}");
        door.add_permits(sent);
        quiet().await;
        assert_eq!(peer.stats().received.handled, sent as u64);
        assert_eq!(peer.session().held(), 0);
    }
}
