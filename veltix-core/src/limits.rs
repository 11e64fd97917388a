//! Every constant of the house, each with its reason. The configs' defaults are these.

use std::time::Duration;

/// Bytes of a frame's header (source: PROTOCOL.md, "The frame").
pub const HEADER_LEN: usize = 15;

/// Default of `max_message_size`, header included: what the Python package uses, so that neither
/// side refuses what the other may send.
pub const MAX_MESSAGE_SIZE: usize = 10 * 1024 * 1024;

/// Default of `max_typed_body`: a parser multiplies what it is given (a generic JSON value takes
/// some thirty times its text), so only bodies up to 1 MiB are parsed unless a type asks for more.
pub const MAX_TYPED_BODY: usize = 1024 * 1024;

/// The longest handshake message, inclusive (source: PROTOCOL.md, "The handshake").
pub const MAX_HANDSHAKE_LEN: usize = 30 * 1024;

/// The longest token of a client, in bytes. Web tokens have one or two KiB; and as JSON, which writes
/// a byte with six at worst, one of this length still fits a handshake message.
pub const MAX_TOKEN_LEN: usize = 4 * 1024;

/// The most types that a side declares to its peers: each takes twelve characters, and with the longest
/// token beside them they still fit a handshake message.
pub const MAX_DECLARED_TYPES: usize = 480;

/// The most codes that are named when two sides give them different types: more would not fit a line of
/// the log, and the first ones show what is wrong.
pub const MAX_DIFFERING_CODES: usize = 8;

/// One absolute deadline for a whole handshake, TLS included. Python's 5 s hold for each read, so
/// that a trickle lives for hours; ours holds for all of it.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A TLS server gives up a client that has said nothing for one such part of the handshake's time. TLS
/// lets the client begin, so whoever waits has no TLS, and has to hear so before its own time is over.
pub const TLS_FIRST_BYTE_PART: u32 = 2;

/// Pending handshakes at most: each costs a task and a descriptor before anybody is known.
pub const MAX_PENDING_HANDSHAKES: usize = 512;

/// Pending handshakes of one address at most, so that one host cannot hold all of them.
pub const MAX_PENDING_HANDSHAKES_PER_ADDRESS: usize = 32;

/// Default of `max_connections`.
pub const MAX_CONNECTIONS: usize = 10_000;

/// A begun frame has this long, plus its length at [`FRAME_RATE`]: without it one byte in 14 s
/// would pass for life for ever.
pub const FRAME_GRACE: Duration = Duration::from_secs(30);

/// Bytes a second that a begun frame must reach on average: a slow mobile line.
pub const FRAME_RATE: u64 = 16 * 1024;

/// Frames that an outbox holds at most.
pub const OUTBOX_FRAMES: usize = 1_024;

/// Bytes that an outbox holds at most: one frame of the largest default size and half of another.
pub const OUTBOX_BYTES: usize = 16 * 1024 * 1024;

/// What a queued frame is charged beside its bytes, so that a million empty frames cost too.
pub const FRAME_OVERHEAD: usize = 256;

/// A server closes a peer that has not taken a byte for this long while something waited.
pub const WRITE_STALL: Duration = Duration::from_secs(10);

/// A `send` waits for room this much longer than the write stall: a peer that takes nothing is
/// closed by then, and the sender is told so; one that takes a little leaves it with a full outbox.
pub const SEND_GRACE: Duration = Duration::from_secs(1);

/// Silence after which a ping is sent, and again, and after which the peer is dead.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// How many such silences in a row a peer survives: two pings, then the third is its end.
pub const HEARTBEAT_MISSES: u32 = 3;

/// Messages of one peer that wait for their handler at most; then its reading pauses.
pub const INBOX_MESSAGES: usize = 64;

/// Bytes of such messages at most. One message always fits.
pub const INBOX_BYTES: usize = 1024 * 1024;

/// While a call of ours is pending, its answer may stand behind messages for which the inbox has
/// no room, so reading goes on up to this many bytes; then the call fails as congested.
pub const INBOX_BYTES_WHILE_CALLING: usize = 8 * 1024 * 1024;

/// Default timeout of a request and of a ping.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the id of an unanswered call rests before it may mean another call: longer than any
/// answer that is still on its way is likely to take.
pub const ID_REST: Duration = Duration::from_secs(60);

/// First window of the reconnect back-off.
pub const RECONNECT_FIRST: Duration = Duration::from_secs(1);

/// Largest window of the reconnect back-off.
pub const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// A connection that lived this long resets the back-off: one that dies at once must not.
pub const RECONNECT_RESET: Duration = Duration::from_secs(10);

/// Immediate attempts after a frame that overtook the handshake, see
/// [`HandshakeError::FrameBeforeHandshake`](crate::HandshakeError::FrameBeforeHandshake).
pub const EARLY_FRAME_RETRIES: u32 = 3;

/// Over which time a server that ends has its clients come back, by default. Then 10 000 clients are
/// 200 handshakes in a tenth of a second for its successor, a fraction of what it can do, and none of
/// them waits for much longer than a process takes to end and to start again.
pub const RECONNECT_SPREAD: Duration = Duration::from_secs(5);

/// The longest such time that a client goes along with, whatever its server says.
pub const MAX_RECONNECT_SPREAD: Duration = Duration::from_secs(5 * 60);

/// Tags of one peer at most.
pub const TAGS_PER_PEER: usize = 64;

/// Bytes of a tag's name at most.
pub const TAG_NAME_LEN: usize = 128;

/// Bytes of a tag's value at most.
pub const TAG_VALUE_LEN: usize = 1024;

/// Levels of a target at most: whoever walks one recurses, on whatever stack a user's thread has.
/// So many fit 256 KiB even without optimization, and nobody nests parentheses this deep by hand.
pub const TARGET_DEPTH: usize = 32;

/// Names, values and peers in one target at most: each is a look into the index while the lock of
/// the tags is held.
pub const TARGET_TERMS: usize = 64 * 1024;

/// As how many of [`TARGET_TERMS`] a comparison counts, so that there are at most 64 in a target: it
/// may have to look at every value of its name, of which there can be one for each peer.
pub const TARGET_COMPARISON: usize = 1024;

/// Changes that a watch may be behind before it begins again with whoever is inside: as many as a
/// subscriber to events.
pub const WATCH_QUEUE: usize = EVENT_BUFFER;

/// Threads for blocking handlers: what the Python package starts.
pub const MAX_WORKERS: usize = 4;

/// What a shutdown, or the end of a connection, waits for handlers and queues at most.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What `on_connect` may take.
pub const ON_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What closing a connection waits for its queued frames at most.
pub const CLOSE_FLUSH: Duration = Duration::from_secs(1);

/// After our end of the stream is shut, the peer's bytes are read and thrown away for this long:
/// closing with unread input resets the connection and takes the last frames with it (RFC 9112,
/// section 9.6).
pub const LINGER: Duration = Duration::from_secs(2);

/// Frames of one burst at most, so that one busy peer cannot hold a worker. A full read of small
/// messages has 829 of 64 bytes; with fewer a burst, their rest would keep the read buffer, and the
/// next connection would read into another one that no cache knows. A turn begins no other burst
/// when half of this is done.
pub const BATCH_FRAMES: usize = 1024;

/// Bytes of one burst at most, but for the frame that goes over them.
pub const BATCH_BYTES: usize = 64 * 1024;

/// Time of one turn at most.
pub const BATCH_TIME: Duration = Duration::from_millis(1);

/// A handler that holds its worker this long, from one `.await` to the next, is told of in the log:
/// everybody whom the worker serves has waited for it. People begin to notice such a pause.
pub const HELD_TIME: Duration = Duration::from_millis(100);

/// Time of one go at the outboxes that a batch filled, before other tasks have their turn: some 1 000
/// peers of a broadcast. Each turn given away costs a few wake-ups of worker threads, which at 1 ms
/// were 7 % of a broadcast to 1 000; and it stays below the 10 ms by which a flood may delay others.
pub const FLUSH_TIME: Duration = Duration::from_millis(4);

/// A batch ends when an outbox that it filled holds this many frames: they fill a large write.
pub const BATCH_OUTBOX_FRAMES: usize = 256;

/// A batch ends when an outbox that it filled holds this many bytes.
pub const BATCH_OUTBOX_BYTES: usize = 256 * 1024;

/// A body below this is copied beside its header into one buffer for the write; above, the kernel
/// gathers it: measured equal at 1 KiB (PERFORMANCE.md).
pub const COPY_BELOW: usize = 1024;

/// Slices of one vectored write at most: well under the kernel's 1 024, and it fits the stack.
pub const WRITE_SLICES: usize = 64;

/// Bytes that one write gathers at most.
pub const WRITE_BYTES: usize = 256 * 1024;

/// What one read may take in, by default: a large read makes a large batch, and the buffer is
/// lent by a pool, so it costs an idle connection nothing.
pub const READ_BUFFER: usize = 64 * 1024;

/// A body shorter than this is copied out of its read buffer when it outlives its batch: a quarter
/// of a buffer, so that what waits pins at most four times its size.
pub const DETACH_BELOW: usize = READ_BUFFER / 4;

/// A frame of which this part has come gets room for all of it: until then memory follows what came,
/// not what a header announces.
pub const WORTH_ALL: usize = 6;

/// The largest read buffer that a config may ask for.
pub const MAX_READ_BUFFER: usize = 64 * 1024 * 1024;

/// Longer times are cut to this: every clock can add it to its now.
pub const FAR_FUTURE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A server closes a peer that sends more unknown codes than this within [`UNKNOWN_WINDOW`].
pub const UNKNOWN_PER_WINDOW: u32 = 10_000;

/// The window for counting unknown codes, and the pause between two log lines of one code.
pub const UNKNOWN_WINDOW: Duration = Duration::from_secs(10);

/// Strings of a peer are cut to this many characters before they reach a log.
pub const LOGGED_CHARS: usize = 128;

/// Events that a slow subscriber may be behind before it is told how many it lost.
pub const EVENT_BUFFER: usize = 1_024;

/// First pause after a failed accept (no descriptor is free, say).
pub const ACCEPT_BACKOFF_FIRST: Duration = Duration::from_millis(10);

/// Largest pause after failed accepts.
pub const ACCEPT_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The listener's backlog: the usual cap of `net.core.somaxconn`.
pub const BACKLOG: u32 = 4_096;

/// Default of what a quiet peer may send at once under a [`Rate`](crate::Rate): what comes in bursts, as
/// a page that opens does, is not slowed for it.
pub const RATE_BURST: Duration = Duration::from_secs(1);

/// Default of how long a peer is slowed before it is warned of: long enough for a large upload, short
/// enough to be told while it goes on.
pub const RATE_WARN_AFTER: Duration = Duration::from_secs(5);

/// Default of how long a peer is slowed before it is disconnected.
pub const RATE_DISCONNECT_AFTER: Duration = Duration::from_secs(30);

/// So long a peer over its rate must not be slowed to begin anew. One that presses on is slowed again
/// at once, with its next read.
pub const RATE_REST: Duration = Duration::from_secs(1);

/// A debt to a [`TokenBucket`](crate::TokenBucket) is no longer than this. While a peer is not read,
/// nobody learns of its end, so one enormous message at a tiny rate must not hold it for hours.
pub const MAX_DEBT: Duration = Duration::from_secs(60);

/// Default of what the handlers of one peer may put before readers that are behind, in bytes a second of
/// all those readers together: with 200 of them each still gets what a slow line takes, and no outbox of
/// 16 MiB is full before its peer could have read it.
pub const PUBLISH_LIMIT: u64 = 64 * 1024 * 1024;

/// The pause between two log lines that any number of peers may cause.
pub const PEER_LOG_PAUSE: Duration = Duration::from_secs(1);

/// What a server's buffers and queues hold together at most by default, where the machine has enough: a
/// hundred peers with the largest message begun or queued.
pub const MEMORY_BUDGET: usize = 1024 * 1024 * 1024;

/// On smaller machines, and in smaller control groups, the default is one such part of what there is:
/// the rest is the application's, the system's for its sockets, and the allocator's.
pub const MEMORY_PART: usize = 4;

/// Memory is counted in steps of this, and what one connection holds below it is not: a shared counter
/// is only touched where some KiB were copied anyway.
pub const MEMORY_STEP: usize = 4 * 1024;

/// The buffer of a begun frame counts as so many of its kind. It has grown in about three steps, and
/// where it was before, the allocator has a hole that none of the larger ones fits: under attack, a server
/// with glibc was measured to hold 2.3 times what its buffers had room for.
pub const MEMORY_HOLES: usize = 3;

/// A begun frame without room waits this long before it looks again, and longer the longer it waits.
pub const MEMORY_RETRY: Duration = Duration::from_millis(20);

/// When a begun frame has found no room for this long, whoever holds the most is evicted: what is on its
/// way out, to handlers and streams, had its time by then.
pub const MEMORY_PATIENCE: Duration = Duration::from_secs(1);

/// The last such part of the budget is given to no begun frame: a read brings some KiB before anybody
/// asks for room, and queues never ask. When that is used up too, somebody goes at once.
pub const MEMORY_SLACK: usize = 16;

/// A broadcast's body of as many bytes is counted once, however many queues it waits in: that takes an
/// allocation, which a shorter body is not worth.
pub const SHARED_BODY: usize = 4 * 1024;

/// A broadcast to fewer peers than this is counted in each of their queues, and allocates nothing.
pub const SHARED_BY: usize = 4;

/// Between two looks for whom to evict: that is a look at every connection, and who was evicted is gone
/// by then.
pub const EVICTION_PAUSE: Duration = Duration::from_millis(10);
