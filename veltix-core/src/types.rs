//! Message types: the code on the wire, the name, and the class of the code.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::TypeError;

/// Is the type of the question "are you there", which [`PONG`] answers (source: PROTOCOL.md,
/// "Ping").
pub const PING: MessageType = MessageType::system(0, "ping", "Is the peer alive?");

/// Is the type of the answer to [`PING`].
pub const PONG: MessageType = MessageType::system(1, "pong", "The peer is alive.");

/// Is the type of `GoingAway`, which a server sends before it ends to clients
/// that know it (source: PROTOCOL.md, "Order and end").
pub const GOING_AWAY: MessageType =
    MessageType::system(2, "going_away", "The server is about to end.");

/// Is the type of `ProtocolReport`, which a side sends when it cannot read the stream of a peer that
/// knows it (source: PROTOCOL.md, "Order and end").
pub const PROTOCOL_ERROR: MessageType =
    MessageType::system(3, "protocol_error", "The stream cannot be read any further.");

/// Is the first code that an application may use.
pub const FIRST_APPLICATION_CODE: u16 = 200;

/// Is the first code that is meant for plugins.
pub const FIRST_PLUGIN_CODE: u16 = 500;

/// The class of a code: protocol, application or plugin.
///
/// Codes 0–199 belong to the protocol, 200–499 to the application, and 500 and above to plugins.
/// Only the first boundary is enforced. The second is a convention that keeps an application and
/// its plugins from using the same codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "the three ranges cover every u16")]
pub enum CodeClass {
    /// Codes 0–199 belong to the protocol. Messages with these codes never reach a handler.
    System,
    /// Codes 200–499 belong to the application.
    Application,
    /// Codes 500–65535 belong to plugins.
    Plugin,
}

impl CodeClass {
    /// Returns the class of a code.
    #[must_use]
    pub const fn of(code: u16) -> Self {
        match code {
            0..FIRST_APPLICATION_CODE => Self::System,
            FIRST_APPLICATION_CODE..FIRST_PLUGIN_CODE => Self::Application,
            _ => Self::Plugin,
        }
    }
}

/// A message type has a code, a name for logs and a description for people.
///
/// Two types are equal if their codes are equal, because only the code travels.
///
/// ```
/// use veltix::MessageType;
///
/// const CHAT: MessageType = MessageType::new(200, "chat", "Chat message");
/// assert_eq!(CHAT.code(), 200);
/// ```
///
/// A reserved code in a `const` does not compile:
///
/// ```compile_fail
/// # use veltix::MessageType;
/// const BAD: MessageType = MessageType::new(20, "bad", "");
/// ```
#[derive(Clone, Copy)]
pub struct MessageType {
    code: u16,
    name: &'static str,
    description: &'static str,
}

impl MessageType {
    /// Creates a message type of the application (200–499) or of a plugin (500 and above).
    ///
    /// # Panics
    /// Panics if the code is below 200, which is the protocol's range. In a `const`, this is a
    /// compile error. Use [`MessageType::try_new`] for codes that are known only at run time.
    #[must_use]
    #[track_caller]
    pub const fn new(code: u16, name: &'static str, description: &'static str) -> Self {
        assert!(
            code >= FIRST_APPLICATION_CODE,
            "message codes 0-199 are reserved for the protocol: use 200 or above"
        );
        Self { code, name, description }
    }

    /// Creates a message type like [`MessageType::new`], for a code that is known only at run time.
    ///
    /// # Errors
    /// Returns [`TypeError::Reserved`] if the code is below 200.
    pub const fn try_new(
        code: u16,
        name: &'static str,
        description: &'static str,
    ) -> Result<Self, TypeError> {
        if code < FIRST_APPLICATION_CODE {
            return Err(TypeError::Reserved { code });
        }
        Ok(Self { code, name, description })
    }

    const fn system(code: u16, name: &'static str, description: &'static str) -> Self {
        Self { code, name, description }
    }

    /// Returns the code, which is the number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.code
    }

    /// Returns the name for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Returns the description for people.
    #[must_use]
    pub const fn description(self) -> &'static str {
        self.description
    }

    /// Returns the class of the code.
    #[must_use]
    pub const fn class(self) -> CodeClass {
        CodeClass::of(self.code)
    }
}

impl From<MessageType> for u16 {
    fn from(message_type: MessageType) -> Self {
        message_type.code
    }
}

impl PartialEq for MessageType {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for MessageType {}

impl Hash for MessageType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.hash(state);
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.code)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_ranges_of_the_protocol() {
        for (code, class) in [
            (0, CodeClass::System),
            (199, CodeClass::System),
            (200, CodeClass::Application),
            (499, CodeClass::Application),
            (500, CodeClass::Plugin),
            (65535, CodeClass::Plugin),
        ] {
            assert_eq!(CodeClass::of(code), class, "code {code}");
        }
    }

    #[test]
    fn equality_is_by_code() {
        let one = MessageType::new(200, "one", "");
        let two = MessageType::new(200, "two", "other words");
        assert_eq!(one, two);
        assert_ne!(one, MessageType::new(201, "one", ""));
    }

    #[test]
    fn reserved_codes_are_refused_at_run_time_too() {
        assert_eq!(MessageType::try_new(199, "x", ""), Err(TypeError::Reserved { code: 199 }));
        assert_eq!(MessageType::try_new(200, "x", "").map(MessageType::code), Ok(200));
    }
}
