//! The plain names of the workloads. A code such as `W3` is short on the command line and in results;
//! a reader sees it in brackets behind the name.

/// A workload as readers see it.
#[derive(Clone, Copy, Debug)]
struct Named {
    id: &'static str,
    name: &'static str,
    details: &'static str,
}

const fn named(id: &'static str, name: &'static str, details: &'static str) -> Named {
    Named { id, name, details }
}

const NAMES: &[Named] = &[
    named("W1s", "round trip, one CPU", "one echo in flight, server and generator on one CPU"),
    named("W1x", "round trip, two CPUs", "one echo in flight, server and generator on two CPUs"),
    named("W2", "ingest", "100 connections that only send, 16 KiB in each write"),
    named("W3", "echo, 32 in flight", "100 connections with 32 echoes in flight each"),
    named("W4_100", "broadcast to 100, 1 in flight", "one publish at a time"),
    named("W4_1000", "broadcast to 1 000, 1 in flight", "one publish at a time"),
    named("W4_5000", "broadcast to 5 000, 1 in flight", "one publish at a time"),
    named("W4p_100", "broadcast to 100, 64 in flight", "64 publishes at a time"),
    named("W4p_1000", "broadcast to 1 000, 64 in flight", "64 publishes at a time"),
    named("W4p_5000", "broadcast to 5 000, 64 in flight", "64 publishes at a time"),
    named("W5", "large messages", "messages of 1 MiB, one way on one connection"),
    named("W6", "idle memory, 5 000 connections", "bytes of each, after one tag and one echo"),
    named("W6_9500", "idle memory, 9 500 connections", "bytes of each, after one tag and one echo"),
    named("W7", "connect and close", "connect, handshake, echo, close; 32 at a time"),
    named("tag", "broadcast to a tag", "to the 1 % of 10 000 peers that have it"),
    named("W8", "cluster", "broadcasts from one node to the clients of all nodes"),
    named("own_W1s", "round trip, own client", "one call in flight, both processes on one CPU"),
    named("own_W3", "calls, own client", "100 connections with 32 calling tasks each"),
    named("latency", "echo beside a broadcast", "to 1 000 peers at half its highest rate; p99"),
    named("stalled", "broadcast, one stalled reader", "one of 100 peers does not read"),
    named("fair", "echo beside a flood", "p99 of honest echoes as a part of the allowed value"),
    named("growth_memory", "idle memory by number of peers", "bytes of an idle connection"),
    named("growth_broadcast", "delivery by number of peers", "time of one delivery to all peers"),
    named("growth_count", "count by number of peers", "time to count the 1 % with a tag"),
    named("growth_select", "list by number of peers", "time to list the 1 % with a tag"),
    named("Ir", "instructions", "instructions of one message through a server"),
];

fn find(id: &str) -> Option<&'static Named> {
    NAMES.iter().find(|named| named.id == id)
}

/// Returns the name of a workload with its code in brackets, or the code alone if it has no name.
pub(crate) fn label(id: &str) -> String {
    find(id).map_or_else(|| id.to_owned(), |named| format!("{} ({id})", named.name))
}

/// Returns the label of a workload with its details.
pub(crate) fn title(id: &str) -> String {
    match find(id) {
        Some(Named { details, .. }) => format!("{}: {details}", label(id)),
        None => id.to_owned(),
    }
}

/// Returns the help text for the code of a workload: its name and its details.
pub(crate) fn help(id: &str) -> String {
    find(id).map_or_else(String::new, |named| format!("{}: {}", named.name, named.details))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WORKLOADS;

    #[test]
    fn every_workload_has_a_name_of_its_own() {
        for workload in WORKLOADS {
            assert!(find(workload.id).is_some(), "{} has no name", workload.id);
        }
        for (at, named) in NAMES.iter().enumerate() {
            let other = NAMES[at + 1..].iter().find(|other| other.name == named.name);
            assert!(other.is_none(), "{} and {other:?} have the same name", named.id);
        }
    }

    #[test]
    fn the_code_stands_in_brackets_behind_the_name() {
        assert_eq!(label("W3"), "echo, 32 in flight (W3)");
        assert_eq!(
            title("W3"),
            "echo, 32 in flight (W3): 100 connections with 32 echoes in flight each"
        );
        assert_eq!((label("new"), title("new")), ("new".to_owned(), "new".to_owned()));
    }
}
