//! The messages between `chat_server` and `chat_client`.

/// The messages of the chat.
#[veltix::message]
pub(crate) enum Chat {
    /// A line, which the server passes on to everyone else in the sender's room.
    #[message(code = 200, max = 8 * 1024 * 1024)]
    Say { from: String, text: String },
    /// Moves the sender to a room.
    #[message(code = 201, reply = Roster)]
    Join { room: String },
    /// Answers a `Join`: the number of peers in the room, which includes the peer that joined.
    #[message(code = 202)]
    Roster { room: String, members: usize },
    /// A text of the server: the welcome, and the notices about peers that join and leave.
    #[message(code = 203, text)]
    Motd(String),
}
