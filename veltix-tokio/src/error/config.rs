//! [`ConfigError`]: an invalid setting.

use thiserror::Error;

/// An invalid value in a configuration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The outbox is smaller than the largest message, so such a message could never be sent.
    #[error(
        "an outbox of {outbox_bytes} bytes cannot hold a message of max_message_size ({max_message_size}): enlarge the outbox, or lower max_message_size"
    )]
    OutboxTooSmall {
        /// The limit of the outbox in bytes.
        outbox_bytes: usize,
        /// The size of the largest message in bytes.
        max_message_size: usize,
    },
    /// The message limit is smaller than a header, or larger than the length field can express.
    #[error("max_message_size is {value} bytes: choose a value from {min} to {max}")]
    MessageSize {
        /// The configured value.
        value: usize,
        /// The smallest valid value: the size of a header.
        min: usize,
        /// The largest valid value.
        max: usize,
    },
    /// The buffer of one read is larger than allowed.
    #[error("buffer_size is {value} bytes: choose at most {max}")]
    BufferSize {
        /// The configured value.
        value: usize,
        /// The largest valid value.
        max: usize,
    },
    /// The memory budget of all connections is too small for the largest message.
    #[error(
        "a memory_budget of {value} bytes is too small for max_message_size ({max_message_size}), since a message takes about three and a half times its size while it is received: raise memory_budget, or lower max_message_size"
    )]
    MemoryBudget {
        /// The configured value.
        value: usize,
        /// The size of the largest message in bytes.
        max_message_size: usize,
    },
    /// The heartbeat interval is zero, so pings would follow each other without a pause.
    #[error(
        "the heartbeat interval is zero: choose some seconds, or None to disable the heartbeat"
    )]
    Heartbeat,
    /// A limit is zero, so nothing would pass.
    #[error("{name} is 0: choose at least 1")]
    Zero {
        /// The name of the setting.
        name: &'static str,
    },
    /// A limit is higher than allowed.
    #[error("{name} is {value}: choose at most {max}")]
    TooHigh {
        /// The name of the setting.
        name: &'static str,
        /// The configured value.
        value: usize,
        /// The largest valid value.
        max: usize,
    },
    /// A network of load balancers is not valid.
    #[error(
        "\"{text}\" is no network for `trust_proxy`: write an IP address, or a network without bits behind its prefix, such as 10.0.0.0/8 or 2001:db8::/32"
    )]
    Network {
        /// The invalid text, cut to 64 characters.
        text: String,
    },
    /// The server's name is not valid in a certificate.
    #[error(
        "\"{name}\" is neither a DNS name nor an IP address: use a name in the server's certificate"
    )]
    ServerName {
        /// The invalid name.
        name: String,
    },
    /// A client with TLS has no server name to check.
    #[error(
        "this transport provides no name of the server: set a name in its certificate with `ClientTls::server_name`"
    )]
    NoServerName,
    /// A client's token would be sent without encryption.
    #[error(
        "without TLS, others on the network path can read the token: enable TLS (`ClientConfig::tls`), or call `allow_plaintext_token()` if something else encrypts the connection"
    )]
    PlaintextToken,
    /// A client's token is empty or too long.
    #[error("the token has {length} bytes: use a token of 1 to {limit} bytes")]
    TokenLength {
        /// The token's length in bytes.
        length: usize,
        /// The largest length in bytes.
        limit: usize,
    },
    /// A client has a router that authenticates peers.
    #[error(
        "a client cannot use a router with `authenticate`: serve this router with a `Server`, and identify the server with TLS (`ClientConfig::tls`)"
    )]
    AuthenticateOnClient,
    /// A server has a router whose fallback is a stream.
    #[error(
        "a server cannot use a router with `messages`, whose stream does not name the sender: set a fallback that takes `Peer` and `Message`"
    )]
    MessagesOnServer,
    /// A handler has a parameter that this side does not provide.
    #[error(
        "the handler of {route} takes a `Hub`, which only a server has: use `Peer` in a client, or serve this router with a `Server`"
    )]
    NeedsHub {
        /// The name of the route.
        route: String,
    },
}
