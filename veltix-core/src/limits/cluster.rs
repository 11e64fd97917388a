//! The constants of clusters.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Is the range of versions of the format between nodes that a node reads. It writes the newest one.
pub const CLUSTER_WIRE: RangeInclusive<u8> = 1..=1;

/// Limits the target of a message for other nodes in bytes: a batch holds at least one record.
pub const CLUSTER_TARGET_LEN: usize = 64 * 1024;

/// Limits the peers of other nodes that a message excepts. More of them are a tag.
pub const CLUSTER_EXCEPT: usize = 64;

/// Limits the key of [`Message::latest`](crate::Message::latest) between nodes in bytes. Its pairs take up to
/// forty times as much memory.
pub const CLUSTER_KEY_LEN: usize = 64 * 1024;

/// Limits the levels of pairs in the key of [`Message::latest`](crate::Message::latest) between nodes.
/// Readers recurse.
pub const CLUSTER_KEY_DEPTH: usize = 32;

/// Limits the nodes of a cluster, this one included: each of them talks to all others.
pub const CLUSTER_MEMBERS: usize = 64;

/// Limits the name of a node in bytes. Names are for people, and stand in each heartbeat.
pub const CLUSTER_NAME_LEN: usize = 64;

/// Is the silence after which a node is probed: a heartbeat that is one second late.
pub const CLUSTER_PROBE: Duration = Duration::from_secs(2);

/// Is the time between two probes of a silent node.
pub const CLUSTER_PROBE_EVERY: Duration = Duration::from_millis(500);

/// Is the silence after which a node leaves if nobody listens at its address: a heartbeat, and the longest
/// reconnect of a live node, which takes up to three seconds.
pub const CLUSTER_GONE: Duration = Duration::from_secs(4);

/// Is the silence after which a node leaves. Nothing of it arrives later, since frames are dropped when they
/// are five seconds old.
pub const CLUSTER_LEASE: Duration = Duration::from_secs(10);

/// Is the time between two heartbeats of a node.
pub const CLUSTER_HEARTBEAT: Duration = Duration::from_secs(1);

/// Is the shortest time between two heartbeats: each goes to all other nodes.
pub const CLUSTER_HEARTBEAT_LEAST: Duration = Duration::from_millis(50);

/// Is the time for which a message for other nodes waits for the broker. Within it a broker restarts in three
/// seconds, or fails over in two.
pub const CLUSTER_MESSAGE_TTL: Duration = Duration::from_secs(5);

/// Limits the bytes of the queues of a node, in each direction, as of an outbox.
pub const CLUSTER_QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// Limits the records of the queues of a node, in each direction.
pub const CLUSTER_QUEUE_RECORDS: usize = 16 * 1024;

/// Is the number of records by which the words of a node about itself may exceed its queue: heartbeats, changes
/// of its tags, its farewell.
pub const CLUSTER_RESERVE_RECORDS: usize = 1_024;

/// Is the number of bytes for the same: four answers with all tags of a node.
pub const CLUSTER_RESERVE_BYTES: usize = 2 * 1024 * 1024;

/// Is the size of a batch above which no record is added: the write buffer of an engine.
pub const CLUSTER_BATCH: usize = 64 * 1024;

/// Limits the time between the calls of the first and the last record of a batch, which has one age: a
/// fiftieth of the time to live of a message.
pub const CLUSTER_BATCH_SPAN: Duration = Duration::from_millis(100);

/// Limits the time for which an engine waits at its end until its last batch is sent.
pub const CLUSTER_CLOSE: Duration = Duration::from_secs(1);

/// Is the time after which the delivery of messages of other nodes lets other tasks run.
pub const CLUSTER_TURN: Duration = Duration::from_millis(4);

/// Is the time between two attempts to start an engine.
pub const CLUSTER_RETRY: Duration = Duration::from_secs(1);

/// Is the size of the largest part of a record: half of what a NATS server takes by default.
pub const CLUSTER_PART: usize = 512 * 1024;

/// Is the room in a batch for its head, and for that of a record.
pub const CLUSTER_HEADROOM: usize = 1024;

/// Limits the bytes of all records that are arriving in parts: six of the largest messages.
pub const CLUSTER_ASSEMBLY: usize = 64 * 1024 * 1024;

/// Limits the name of a cluster in characters. It is a part of each subject.
pub const CLUSTER_NAME: usize = 32;

/// Limits the time to connect to a broker, all attempts together: a start must not hang.
pub const CLUSTER_CONNECT: Duration = Duration::from_secs(5);

/// Limits the time of one attempt to connect to a broker: longer than one lost packet takes.
pub const CLUSTER_CONNECT_ATTEMPT: Duration = Duration::from_secs(2);

/// Is the time between two pings of a broker. The third one without an answer ends the connection.
pub const CLUSTER_PING: Duration = Duration::from_secs(2);

/// Is the time between two looks at the state of the connection to a broker.
pub const CLUSTER_STATE_EVERY: Duration = Duration::from_millis(50);

/// Limits the batches that wait inside an engine: 8 MiB of parts.
pub const CLUSTER_ENGINE_COMMANDS: usize = 16;

/// Limits the received messages that wait inside an engine. The node takes them at once.
pub const CLUSTER_ENGINE_MESSAGES: usize = 1_024;

/// Limits the direct batches that wait inside an engine for an earlier batch to all nodes: those of a full
/// channel, and of the next one. Beyond it they do not wait.
pub const CLUSTER_ENGINE_WAITING: usize = 2 * CLUSTER_ENGINE_MESSAGES;

/// Limits the bytes of these batches: what an engine may hold.
pub const CLUSTER_ENGINE_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Limits the nodes whose last batch to all nodes an engine remembers: four times the members, so that a
/// restart of all of them fits. Beyond it the engine forgets them, and looks for their batches anew.
pub const CLUSTER_ENGINE_ORIGINS: usize = 4 * CLUSTER_MEMBERS;

/// Is the longest random delay before the first attempt to connect again. The nodes that lose a broker at the
/// same moment come back spread over this time.
pub const CLUSTER_RECONNECT_SPREAD: Duration = Duration::from_secs(1);

/// Is the longest random delay before each later attempt: one attempt a second on average.
pub const CLUSTER_RECONNECT_LATER: Duration = Duration::from_secs(2);

/// Limits the time for which records wait after a reconnect for the nodes that were not heard since: those whose
/// broker was away too have connected again by then, and half a second is for the broker's answer.
pub const CLUSTER_HOLD: Duration = Duration::from_millis(2_500);

/// Is the longest random delay before an attempt with another broker of the list. The nodes are spread by
/// their first attempt already.
pub const CLUSTER_RECONNECT_OTHER: Duration = Duration::from_millis(200);

/// Is the time after which a question to the broker is repeated that checks the way to it and back.
pub const CLUSTER_CONFIRM: Duration = Duration::from_secs(2);

/// Limits the time for which a connection counts without such an answer. Answers may be lost among many
/// messages, but not five in turn.
pub const CLUSTER_CONFIRMED: Duration = Duration::from_secs(10);

/// Limits the peers in the answer of one node.
pub const CLUSTER_LIST: usize = 65_536;

/// Limits the bytes of the answer of one node: half of a queue, so that an answer finds room. The tags of the
/// peers in it take several times as much memory as their bytes.
pub const CLUSTER_ANSWER_LEN: usize = 8 * 1024 * 1024;

/// Limits the reason for which another node closes peers or refuses something, in bytes: each peer, call and watch
/// has a copy.
pub const CLUSTER_REASON_LEN: usize = 1024;

/// Limits the names of tags that a question asks for: no peer has more.
pub const CLUSTER_NAMES: usize = 1_024;

/// Is the default time for which a question to other nodes waits for their answers: it is for a page.
pub const CLUSTER_ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Limits the direct batches of which a node knows the records, for the answer that nobody listens. It comes
/// within milliseconds.
pub const CLUSTER_RECENT_BATCHES: usize = 1_024;

/// Limits the events of a cluster that wait for a reader.
pub const CLUSTER_EVENTS: usize = 1_024;

/// Limits the calls and questions of a node that are under way, and those of others that it serves.
pub const CLUSTER_CALLS: usize = 4_096;

/// Is the time between two reports of what other nodes can cause in any number.
pub const CLUSTER_REPORT: Duration = Duration::from_secs(1);

/// Limits the watches of a node on others: each change is told to each of them.
pub const CLUSTER_WATCHES: usize = 1_024;

/// Limits the time for which the first event of a watch waits for other nodes.
pub const CLUSTER_WATCH_WAIT: Duration = Duration::from_secs(2);

/// Is the time after which a node that has not begun a watch is asked again.
pub const CLUSTER_WATCH_RETRY: Duration = Duration::from_secs(2);

/// Limits the peers of one node in a watch: no server has more connections.
pub const CLUSTER_WATCH_ITEMS: usize = 1024 * 1024;

/// Limits the bytes of these peers with their tags: 256 for each of them.
pub const CLUSTER_WATCH_BYTES: usize = 256 * 1024 * 1024;

/// Limits the hashes of the tags that a node tells the others: 512 KiB, and 32 MiB for 64 nodes. A node with
/// more tags receives every message, until it has half as many.
pub const CLUSTER_INTEREST: usize = 65_536;

/// Limits the changes of a node's tags that wait to be told. Behind more of them, the whole state is compared,
/// which takes as long as some thousands of changes.
pub const CLUSTER_INTEREST_CHANGES: usize = 4_096;

/// Is the time for which a node keeps a tag told that has lost its last holder. A client that connects again
/// or changes its room and comes back then causes no record.
pub const CLUSTER_INTEREST_LINGER: Duration = Duration::from_secs(1);

/// Is the time between two questions to one node for all of its tags. An answer has up to 512 KiB, and each
/// heartbeat, one a second, shows whether another question is needed.
pub const CLUSTER_SYNC_EVERY: Duration = Duration::from_secs(1);

/// Is the time after a connect to the broker for which nodes may exist that this one does not know: each tells
/// that it lives once a second.
pub const CLUSTER_DISCOVERY: Duration = Duration::from_secs(3);

/// Is the size of the changes of a watch above which the next ones are a record of their own: a quarter of a
/// batch of the largest parts. A longer list of members travels in several records.
pub const CLUSTER_DIFF_LEN: usize = 128 * 1024;

/// Limits the peers, groups and changes in such a record. Each of them takes 24 bytes of that size at least, and
/// up to forty times as much memory as its bytes.
pub const CLUSTER_DIFF_ITEMS: usize = CLUSTER_DIFF_LEN / 8;
