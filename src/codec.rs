//! The frame codec for `tokio_util::codec`, for programs that speak the wire protocol themselves.
//!
//! ```
//! use bytes::BytesMut;
//! use tokio_util::codec::{Decoder, Encoder};
//! use veltix::codec::VeltixCodec;
//! use veltix::{Message, MessageType};
//!
//! const SAY: MessageType = MessageType::new(200, "say", "");
//!
//! let mut codec = VeltixCodec::new(64 * 1024); // the largest frame in bytes
//! let mut bytes = BytesMut::new();
//! codec.encode(Message::from_text(SAY, "hello"), &mut bytes)?;
//! let message = codec.decode(&mut bytes)?.expect("the frame is complete");
//! assert_eq!(message.text()?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The codec does not perform the handshake. A stream begins with it: `PROTOCOL.md` in the repository has
//! the details.

pub use veltix_tokio::{CodecError, VeltixCodec};
