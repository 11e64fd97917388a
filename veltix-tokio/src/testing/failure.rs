//! The text of a failed expectation.

use std::fmt::Write;
use std::sync::Arc;

use futures::FutureExt;
use tokio::task::unconstrained;
use veltix_core::Message;

use crate::hub::{Event, EventStream};
use crate::sync::Mutex;

/// The maximum number of listed messages; the last ones are listed.
const MESSAGES: usize = 64;

/// The maximum number of listed events; the last ones are listed.
const EVENTS: usize = 32;

/// The number of characters, or bytes, to which a body is cut.
const BODY: usize = 128;

/// The events that a server has emitted since it was started, kept until they are read.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Recorded>>);

struct Recorded {
    events: EventStream,
    lines: Vec<String>,
}

impl Log {
    pub(super) fn new(events: EventStream) -> Self {
        Self(Arc::new(Mutex::new(Recorded { events, lines: Vec::new() })))
    }

    /// Returns one line for each event, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut recorded = self.0.lock();
        while let Some(Some(event)) = unconstrained(recorded.events.next()).now_or_never() {
            recorded.lines.push(line(&event));
        }
        recorded.lines.clone()
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Connected { peer } => format!("{peer} connected"),
        Event::Refused { peer, reason } => format!("on_connect refused {peer}: {reason}"),
        Event::Disconnected { peer, outcome } => format!("{peer} disconnected: {}", outcome.reason),
        Event::Rejected { peer, code, reason } => {
            format!("a body of code {code} from {peer} was rejected: {reason}")
        }
        Event::HandlerFailed { peer, code, error } => {
            format!("the handler of code {code} failed for {peer}: {error}")
        }
        Event::HandlerPanicked { peer, code, message } => {
            format!("the handler of code {code} panicked for {peer}: {message}")
        }
        Event::UnknownCode { peer, code } => format!("no route takes code {code} of {peer}"),
        other => format!("{other:?}"),
    }
}

/// Returns the list of a client's messages. The first `taken` of them are marked as taken, and the
/// unexpected one is marked with an arrow.
pub(super) fn received(messages: &[Message], taken: usize, unwanted: Option<usize>) -> String {
    let mut list = String::new();
    let hidden = messages.len().saturating_sub(MESSAGES);
    if hidden > 0 {
        list.push_str(&format!("\n  ({hidden} before)"));
    }
    for (index, message) in messages.iter().enumerate().skip(hidden) {
        let remark = match index {
            _ if unwanted == Some(index) => " <- this one",
            _ if index < taken => " (taken before)",
            _ => "",
        };
        // Writing to a string cannot fail.
        let _ = write!(list, "\n  {}. {}{remark}", index + 1, shown(message));
    }
    if list.is_empty() { "\n  nothing".to_owned() } else { list }
}

/// Returns the lines of the last events.
pub(super) fn events(lines: &[String]) -> String {
    let hidden = lines.len().saturating_sub(EVENTS);
    lines.iter().skip(hidden).map(|line| format!("\n  {line}")).collect()
}

/// Returns a readable form of a message: `201 "hello"`, with its body escaped and cut.
pub(super) fn shown(message: &Message) -> String {
    let (code, body) = (message.code(), message.body());
    let (shown, is_cut) = match std::str::from_utf8(body) {
        Ok(text) => {
            let cut: String = text.chars().take(BODY).collect();
            (format!("{cut:?}"), cut.len() < text.len())
        }
        Err(_) => {
            let cut = &body[..body.len().min(BODY)];
            (format!("b\"{}\"", cut.escape_ascii()), cut.len() < body.len())
        }
    };
    if is_cut {
        return format!("{code} {shown}... ({} bytes)", body.len());
    }
    format!("{code} {shown}")
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use veltix_core::RequestId;

    use super::*;

    fn message(body: impl Into<Vec<u8>>) -> Message {
        Message::from_parts(200, RequestId::default(), body.into().into())
    }

    #[test]
    fn bodies_are_escaped_and_cut() {
        assert_eq!(shown(&message("a \"line\"\n é")), r#"200 "a \"line\"\n é""#);
        assert_eq!(shown(&message("")), r#"200 """#);
        assert_eq!(shown(&message(*b"\xff\0a\"")), r#"200 b"\xff\x00a\"""#);
        let long = "é".repeat(BODY);
        assert_eq!(shown(&message(long.clone())), format!("200 {long:?}"));
        let longer = shown(&message(format!("{long}x")));
        assert_eq!(longer, format!("200 {long:?}... ({} bytes)", 2 * BODY + 1));
        assert!(shown(&message(vec![0xff; BODY + 1])).ends_with("\\xff\"... (129 bytes)"));
    }

    #[test]
    fn lists_say_what_was_taken_and_show_the_end() {
        let messages: Vec<_> = (1..=3).map(|n| message(n.to_string())).collect();
        let expected =
            "\n  1. 200 \"1\" (taken before)\n  2. 200 \"2\" <- this one\n  3. 200 \"3\"";
        assert_eq!(received(&messages, 1, Some(1)), expected);
        assert_eq!(received(&[], 0, None), "\n  nothing");
        let many = vec![message("x"); MESSAGES + 2];
        let list = received(&many, 0, None);
        assert!(list.starts_with("\n  (2 before)\n  3. 200"), "{list}");
        assert!(list.ends_with(&format!("\n  {}. 200 \"x\"", MESSAGES + 2)), "{list}");
    }
}
