//! What `chat_server` and `chat_client` say to each other.

/// The messages of the chat.
#[veltix::message]
pub(crate) enum Chat {
    /// Passed on to everyone else in the sender's room.
    #[message(code = 200, max = 8 * 1024 * 1024)]
    Say { from: String, text: String },
    /// Moves the sender to a room.
    #[message(code = 201, reply = Roster)]
    Join { room: String },
    /// Who is in a room, the asker counted.
    #[message(code = 202)]
    Roster { room: String, members: usize },
    /// Said to each peer when it connects.
    #[message(code = 203, text)]
    Motd(String),
}
