//! The errors of a client that waits for a connection, or restores its state on each one.
//!
//! ```
//! use veltix::client::NotConnected;
//! use veltix::{Client, Message, MessageType};
//!
//! const SAY: MessageType = MessageType::new(200, "say", "");
//!
//! /// Sends a line on this connection or on the next one. Returns whether there was one.
//! async fn say(client: &Client, line: &str) -> veltix::Result<bool> {
//!     match client.connected().await {
//!         Ok(server) => server.send(&Message::from_text(SAY, line)).await?,
//!         Err(NotConnected::Lost { reason }) => {
//!             println!("the server is gone: {reason}");
//!             return Ok(false);
//!         }
//!         Err(error) => return Err(error.into()),
//!     }
//!     Ok(true)
//! }
//! # let _ = say;
//! ```

pub use veltix_tokio::{NotConnected, RestoreError};
