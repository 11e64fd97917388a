//! All constants of the project, each with its reason. They are the defaults of the configs.

#[cfg(feature = "cluster")]
mod cluster;

use std::time::Duration;

#[cfg(feature = "cluster")]
pub use cluster::*;

/// Is the size of a frame's header in bytes (source: PROTOCOL.md, "The frame").
pub const HEADER_LEN: usize = 15;

/// Is the default of `max_message_size` in bytes, header included. The Python package uses the same
/// value, so neither side refuses what the other may send.
pub const MAX_MESSAGE_SIZE: usize = 10 * 1024 * 1024;

/// Is the default of `max_typed_body` in bytes. A parser multiplies its input (a generic JSON value
/// takes about thirty times the memory of its text), so larger bodies are parsed only if a type
/// asks for it.
pub const MAX_TYPED_BODY: usize = 1024 * 1024;

/// Limits the levels of a body: arrays and objects that are nested in each other, and in postcard the
/// same parts of the value and each `Some`. Readers recurse, and serde_json reads no deeper values. So
/// deeper ones are not sent either.
pub const BODY_DEPTH: usize = 127;

/// Limits the elements of lists and maps in a postcard body, beyond its bytes. A list of values without
/// bytes, such as `()`, is written as its length alone, so that ten bytes could occupy a reader for ever. As
/// many as this are read within milliseconds.
pub const EMPTY_ELEMENTS: usize = 1024 * 1024;

/// Limits a handshake message in bytes, inclusive (source: PROTOCOL.md, "The handshake").
pub const MAX_HANDSHAKE_LEN: usize = 30 * 1024;

/// Limits a client's token in bytes. Web tokens have one or two KiB. JSON writes a byte with at
/// most six characters, so a token of this length still fits a handshake message.
pub const MAX_TOKEN_LEN: usize = 4 * 1024;

/// Limits the types that a side declares to its peers. Each type takes twelve characters, so this
/// number and the longest token fit one handshake message.
pub const MAX_DECLARED_TYPES: usize = 480;

/// Limits the codes that are named if two sides give them different types. More codes would not fit
/// a log line, and the first ones show the problem.
pub const MAX_DIFFERING_CODES: usize = 8;

/// Limits the time of a whole handshake, TLS included, by one absolute deadline. Python's 5 s apply
/// to each read, so a peer that sends single bytes keeps such a handshake open for hours.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Divides the time of a handshake: a TLS server closes a connection if the client has sent nothing
/// for this part of it. In TLS the client speaks first, so a client that waits has no TLS, and has
/// to learn that before its own time ends.
pub const TLS_FIRST_BYTE_PART: u32 = 2;

/// Limits a header of the PROXY protocol in bytes, inclusive. The protocol requires a sender to stay
/// within 536 bytes, since that many arrive in one segment on every path. Addresses take at most 232
/// of them.
pub const MAX_PROXY_HEADER_LEN: usize = 536;

/// Divides the time of a handshake: the header of a load balancer must be complete after this part
/// of it. A load balancer sends the header at once, and the rest of the time is that of its client.
pub const PROXY_HEADER_PART: u32 = 2;

/// Limits pending handshakes. Each one costs a task and a descriptor before the peer is known.
pub const MAX_PENDING_HANDSHAKES: usize = 512;

/// Limits pending handshakes from one address, so that one host cannot occupy all of them.
pub const MAX_PENDING_HANDSHAKES_PER_ADDRESS: usize = 32;

/// Is the default of `max_connections`.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Is the time that a begun frame has in addition to its length divided by [`FRAME_RATE`]. Without
/// this limit, one byte every 14 s would keep a connection alive without end.
pub const FRAME_GRACE: Duration = Duration::from_secs(30);

/// Is the average rate in bytes per second that a begun frame must reach: that of a slow mobile
/// line.
pub const FRAME_RATE: u64 = 16 * 1024;

/// Limits the frames in an outbox.
pub const OUTBOX_FRAMES: usize = 1_024;

/// Limits the bytes in an outbox: one frame of the largest default size and half of another.
pub const OUTBOX_BYTES: usize = 16 * 1024 * 1024;

/// Is charged for each queued frame in addition to its bytes, so that a million empty frames have a
/// cost.
pub const FRAME_OVERHEAD: usize = 256;

/// Limits the time in which a peer takes no byte while frames wait for it. After it, the server
/// closes the connection.
pub const WRITE_STALL: Duration = Duration::from_secs(10);

/// Is the time that a `send` waits for room in addition to the write stall. A peer that takes
/// nothing is disconnected by then, and the sender receives that error. For a peer that takes a
/// little, the sender receives the error for a full outbox.
pub const SEND_GRACE: Duration = Duration::from_secs(1);

/// Is the interval of silence after which a ping is sent, once and again, and after which the peer
/// is dead.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// Is the number of silent intervals in a row that end a connection: two pings, then the end.
pub const HEARTBEAT_MISSES: u32 = 3;

/// Limits the messages of one peer that wait for their handler. At the limit, reading from the peer
/// pauses.
pub const INBOX_MESSAGES: usize = 64;

/// Limits the bytes of these messages. One message always fits.
pub const INBOX_BYTES: usize = 1024 * 1024;

/// Is the time after which a full stream of messages counts as not read: then further messages are
/// dropped, so that messages with a route go on. A reader that handles one message per second
/// still misses none.
pub const UNREAD_GRACE: Duration = Duration::from_secs(1);

/// Limits the bytes of the messages whose concurrent handlers run, for each peer, unless its inbox
/// may hold more. Further messages wait in the inbox. One message always fits.
pub const CONCURRENT_BYTES: usize = 8 * 1024 * 1024;

/// Limits the bytes of the answers to a survey that were not read yet. A burst of 10 000 answers of
/// 3 KiB fits. One answer always fits, and one without room fails as congested.
pub const SURVEY_BYTES: usize = 32 * 1024 * 1024;

/// Limits the bytes of these messages while a call to the peer is pending. The answer may stand
/// behind messages for which the inbox has no room, so reading continues up to this limit. Then the
/// call fails as congested.
pub const INBOX_BYTES_WHILE_CALLING: usize = 8 * 1024 * 1024;

/// Is the default timeout of a request and of a ping.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Is the time for which the id of an unanswered call rests before another call may use it. It is
/// longer than an answer is likely to be on its way.
pub const ID_REST: Duration = Duration::from_secs(60);

/// Is the first window of the back-off for reconnecting.
pub const RECONNECT_FIRST: Duration = Duration::from_secs(1);

/// Is the largest window of the back-off for reconnecting.
pub const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// Is the lifetime of a connection that resets the back-off. A connection that ends at once must
/// not reset it.
pub const RECONNECT_RESET: Duration = Duration::from_secs(10);

/// Limits immediate attempts after a frame that overtook the handshake, see
/// [`HandshakeError::FrameBeforeHandshake`](crate::HandshakeError::FrameBeforeHandshake).
pub const EARLY_FRAME_RETRIES: u32 = 3;

/// Limits the messages that a client restores on each connection. All of them are queued at once, so
/// they must fit an outbox of the server, and a reconnect must not flood it.
pub const RESTORED_MESSAGES: usize = 512;

/// Limits the bytes of these messages.
pub const RESTORED_BYTES: usize = 1024 * 1024;

/// Is the default time over which the clients of an ending server reconnect. 10 000 clients then
/// cause 200 handshakes per tenth of a second on its successor, a fraction of its capacity, and no
/// client waits much longer than a process takes to end and to start.
pub const RECONNECT_SPREAD: Duration = Duration::from_secs(5);

/// Limits this time on the client, whatever the server sends.
pub const MAX_RECONNECT_SPREAD: Duration = Duration::from_secs(5 * 60);

/// Is the default limit for the names of one peer's tags and sets.
pub const TAGS_PER_PEER: usize = 64;

/// Limits this setting. The names of a peer are searched one after the other.
pub const MAX_TAGS_PER_PEER: usize = 1024;

#[cfg(feature = "cluster")]
const _: () = assert!(CLUSTER_NAMES == MAX_TAGS_PER_PEER, "a question names every tag of a peer");

/// Is the default limit for the values in all sets of one peer. An application often lets peers
/// choose their rooms, so the default is no more than a person uses.
pub const VALUES_PER_PEER: usize = 64;

/// Limits this setting. A peer that connects or leaves enters or leaves all its sets in one step,
/// under the lock of the tags. That takes some 8 ms for 100 000 values.
pub const MAX_VALUES_PER_PEER: usize = 100_000;

/// Limits the name of a tag in bytes.
pub const TAG_NAME_LEN: usize = 128;

/// Limits the value of a tag in bytes.
pub const TAG_VALUE_LEN: usize = 1024;

/// Limits the levels of a target. Walking a target recurses, on the stack of the user's thread.
/// This depth fits a stack of 256 KiB even without optimization, and no hand-written target needs
/// more.
pub const TARGET_DEPTH: usize = 32;

/// Limits the message types with labels of their own in metrics. With 62 of them a server has about 2 000 series.
pub const METRIC_TYPES: usize = 62;

/// Is the time for which callers share one snapshot of the metrics: it costs time for each peer.
pub const METRICS_SHARED: Duration = Duration::from_millis(250);

/// Is the port of an inspector.
pub const INSPECT_PORT: u16 = 8088;

/// Limits the connections of an inspector: browsers open six, and scrapers one each.
pub const INSPECT_CONNECTIONS: usize = 64;

/// Limits the connections of one address, so that one cannot take all places.
pub const INSPECT_CONNECTIONS_PER_ADDRESS: usize = 8;

/// Limits the time until the head of a request is there.
pub const INSPECT_HEAD_TIME: Duration = Duration::from_secs(5);

/// Limits the size of the head of a request in bytes.
pub const INSPECT_HEAD_BYTES: usize = 16 * 1024;

/// Limits the fields of the head of a request.
pub const INSPECT_HEADERS: usize = 64;

/// Limits the time of a connection: scrapers connect again.
pub const INSPECT_CONNECTION: Duration = Duration::from_secs(60);

/// Limits the time in which the runtime of an application must run an empty task to be live.
pub const LIVE_WITHIN: Duration = Duration::from_secs(2);

/// Limits the text form of a target in bytes, as in a request of the inspector. No hand-written target needs more.
pub const TARGET_TEXT: usize = 4 * 1024;

/// Limits the names, values and peers in one target. Each of them costs a lookup in the index while
/// the lock of the tags is held.
pub const TARGET_TERMS: usize = 64 * 1024;

/// Is the share of [`TARGET_TERMS`] that one comparison counts for, so a target has at most 64
/// comparisons. A comparison may have to visit every value of its name, and there can be one value
/// per peer.
pub const TARGET_COMPARISON: usize = 1024;

/// Limits the changes that a watch keeps. A watch that falls behind by more starts again with the
/// current members. The limit equals that of a subscriber to events.
pub const WATCH_QUEUE: usize = EVENT_BUFFER;

/// Limits the bytes of these changes. The tags that a watch asks for are texts of peers, and 1 KiB
/// for each change is enough.
pub const WATCH_QUEUE_BYTES: usize = 1024 * 1024;

/// Limits the groups of a watch that are in their grace. It is several times the number of
/// connections of a large server, all of which may be lost at once. Above the limit, the oldest
/// grace ends early.
pub const WATCH_GRACE: usize = 64 * 1024;

/// Limits the bytes of the keys of these groups.
pub const WATCH_GRACE_BYTES: usize = 8 * 1024 * 1024;

/// Is the number of threads for blocking handlers. The Python package starts the same number.
pub const MAX_WORKERS: usize = 4;

/// Limits the time that a shutdown, or the end of a connection, waits for handlers and queues.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits the time of `on_connect`.
pub const ON_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits the time that closing a connection waits for its queued frames.
pub const CLOSE_FLUSH: Duration = Duration::from_secs(1);

/// The time after the end of a connection after which a thread of its handlers counts as blocked. A thread
/// whose handlers have only just been cancelled ends much sooner.
pub const THREAD_GRACE: Duration = Duration::from_millis(100);

/// How long a connection that takes over waits for the `on_disconnect` of the older one: the flush of a
/// close takes up to [`CLOSE_FLUSH`], and the handler has as long again.
pub const TAKE_OVER: Duration = Duration::from_secs(2);

/// Is the time for which the peer's bytes are read and discarded after this side has shut its end
/// of the stream. Closing with unread input would reset the connection and lose the last frames
/// (RFC 9112, section 9.6).
pub const LINGER: Duration = Duration::from_secs(2);

/// Limits the frames of one batch that the decoder returns, so that one busy peer cannot occupy a
/// worker. A full read of small messages holds 829 of 64 bytes. With a lower limit, the rest of the
/// read would keep its buffer, and the next connection would read into another buffer that is in no
/// cache. A turn begins no further batch after half of this number.
pub const BATCH_FRAMES: usize = 1024;

/// Limits the bytes of one batch that the decoder returns. The frame that crosses the limit still
/// belongs to the batch.
pub const BATCH_BYTES: usize = 64 * 1024;

/// Limits the time of one turn.
pub const BATCH_TIME: Duration = Duration::from_millis(1);

/// Is the time from one `.await` to the next after which a handler counts as a slow poll and is
/// logged. All connections of that worker wait meanwhile. People notice a pause of this length.
pub const SLOW_POLL: Duration = Duration::from_millis(100);

/// Limits the time that one poll spends on flushing the outboxes that it filled, before other tasks
/// run. It is enough for about 1 000 peers of a broadcast. Each yield costs a few wake-ups of
/// worker threads: with a limit of 1 ms they took 7 % of a broadcast to 1 000 peers. The limit
/// stays below the 10 ms by which a flood may delay others.
pub const FLUSH_TIME: Duration = Duration::from_millis(4);

/// Ends a turn once an outbox that it filled holds this number of frames, which fill a large write.
pub const BATCH_OUTBOX_FRAMES: usize = 256;

/// Ends a turn once an outbox that it filled holds this number of bytes.
pub const BATCH_OUTBOX_BYTES: usize = 256 * 1024;

/// Is the length below which a body is copied beside its header into one buffer for the write. The
/// kernel gathers longer bodies. Both were measured to be equal at 1 KiB (PERFORMANCE.md).
pub const COPY_BELOW: usize = 1024;

/// Limits the slices of one vectored write. The number is well under the kernel's 1 024, and fits
/// the stack.
pub const WRITE_SLICES: usize = 64;

/// Limits the bytes that one write gathers.
pub const WRITE_BYTES: usize = 256 * 1024;

/// Is the default size of a read in bytes. A large read makes a large batch. A pool lends the
/// buffer, so it costs an idle connection nothing.
pub const READ_BUFFER: usize = 64 * 1024;

/// Is the length below which a body is copied out of its read buffer if it outlives its turn. It is
/// a quarter of a buffer, so a waiting body keeps at most four times its size in memory.
pub const DETACH_BELOW: usize = READ_BUFFER / 4;

/// Divides the length of a frame: once this part of it has arrived, the decoder reserves memory for
/// the whole frame. Until then memory follows the received bytes, not the length that the header
/// announces.
pub const WORTH_ALL: usize = 6;

/// Limits the read buffer that a config may ask for.
pub const MAX_READ_BUFFER: usize = 64 * 1024 * 1024;

/// Limits configured times. Every clock can add this time to its present.
pub const FAR_FUTURE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Limits the unknown codes of a peer within [`UNKNOWN_WINDOW`]. A server disconnects a peer that
/// sends more.
pub const UNKNOWN_PER_WINDOW: u32 = 10_000;

/// Is the window for counting unknown codes, and the pause between two log lines about one code.
pub const UNKNOWN_WINDOW: Duration = Duration::from_secs(10);

/// Limits the characters of a peer's string in a log.
pub const LOGGED_CHARS: usize = 128;

/// Limits the events that a slow subscriber may be behind. A subscriber that falls behind by more
/// learns how many it lost.
pub const EVENT_BUFFER: usize = 1_024;

/// Is the first pause after a failed accept, for example if no descriptor is free.
pub const ACCEPT_BACKOFF_FIRST: Duration = Duration::from_millis(10);

/// Is the largest pause after failed accepts.
pub const ACCEPT_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Is the backlog of the listener: the usual upper limit of `net.core.somaxconn`.
pub const BACKLOG: u32 = 4_096;

/// Limits the search for a port that is free on all addresses of a server's name. A port that is
/// free on one address is rarely taken on another one.
pub const SAME_PORT_ATTEMPTS: u32 = 32;

/// Is the pause after which a client tries the next address of its server's name, while the earlier
/// ones go on (source: RFC 8305, section 8).
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);

/// Is the default of the burst under a [`Rate`](crate::Rate), as a time at that rate. A quiet peer
/// may send this amount at once, because traffic comes in bursts, for example when a page opens.
pub const RATE_BURST: Duration = Duration::from_secs(1);

/// Is the default of the time for which a peer is slowed before a warning. It is long enough for a
/// large upload, and short enough that the warning comes while the peer still sends.
pub const RATE_WARN_AFTER: Duration = Duration::from_secs(5);

/// Is the default of the time for which a peer is slowed before it is disconnected.
pub const RATE_DISCONNECT_AFTER: Duration = Duration::from_secs(30);

/// Is the time without being slowed after which a peer starts again at the first step. A peer that
/// continues to send too fast is slowed again at its next read.
pub const RATE_REST: Duration = Duration::from_secs(1);

/// Is the least time between two calls of a peer above its rate that are answered with the reason. A
/// peer that waits as long as the answer says needs no more of them, and each costs it a call.
pub const TELL_PAUSE: Duration = Duration::from_secs(1);

/// Limits a debt to a `TokenBucket`. The end of a peer is not noticed while
/// reading from it pauses, so one enormous message at a tiny rate must not pause it for hours.
pub const MAX_DEBT: Duration = Duration::from_secs(60);

/// Is the default of the bytes per second that one peer's handlers may broadcast to slow readers,
/// counted over all of these readers together. With 200 slow readers, each still receives as much
/// as a slow line takes, and no outbox of 16 MiB fills before its peer could have read it.
pub const PUBLISH_LIMIT: u64 = 64 * 1024 * 1024;

/// Is the pause between two log lines that any number of peers may cause.
pub const PEER_LOG_PAUSE: Duration = Duration::from_secs(1);

/// Is the default limit of the memory in a server's buffers and queues together, if the machine has
/// enough memory. A hundred peers with the largest message begun or queued fit into it.
pub const MEMORY_BUDGET: usize = 1024 * 1024 * 1024;

/// Divides the available memory on smaller machines and in smaller control groups: the default
/// limit is one such part. The rest is for the application, for the system's sockets, and for the
/// allocator.
pub const MEMORY_PART: usize = 4;

/// Is the step in which memory is counted. The part of one connection's memory below it is not
/// counted, so the shared counter changes only when a few KiB were copied anyway.
pub const MEMORY_STEP: usize = 4 * 1024;

/// Multiplies the counted size of a begun frame's buffer. The buffer grows in about three steps,
/// and each step leaves a hole in the allocator that none of the larger buffers fits. Under attack,
/// a server with glibc was measured to hold 2.3 times the capacity of its buffers.
pub const MEMORY_HOLES: usize = 3;

/// Is the first pause of a begun frame that waits for memory. Later pauses are longer.
pub const MEMORY_RETRY: Duration = Duration::from_millis(20);

/// Is the time for which a begun frame waits for memory before the peer that holds the most memory
/// is evicted. By then, frames and messages on their way to streams and handlers had time to leave
/// memory.
pub const MEMORY_PATIENCE: Duration = Duration::from_secs(1);

/// Divides the memory budget: begun frames do not receive the last such part. A read brings a few
/// KiB before any check, and queues are not checked. If this part is used up too, a peer is evicted
/// at once.
pub const MEMORY_SLACK: usize = 16;

/// Is the length from which a broadcast's body is counted once for all queues in which it waits.
/// This takes an allocation, which a shorter body does not justify.
pub const SHARED_BODY: usize = 4 * 1024;

/// Is the number of peers from which a broadcast's body is counted once. A broadcast to fewer peers
/// is counted in each queue, and allocates nothing.
pub const SHARED_BY: usize = 4;

/// Is the pause between two searches for a peer to evict. A search visits every connection, and an
/// evicted peer is gone by the next search.
pub const EVICTION_PAUSE: Duration = Duration::from_millis(10);
