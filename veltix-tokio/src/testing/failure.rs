//! The text of a failed expectation.

use std::fmt::Write;

use serde::de::IgnoredAny;
use veltix_core::Message;

/// The maximum number of listed messages; the last ones are listed.
const MESSAGES: usize = 64;

/// The maximum number of listed events; the last ones are listed.
const EVENTS: usize = 32;

/// The number of characters, or bytes, to which a body is cut.
const BODY: usize = 128;

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

/// Returns a readable form of a message: `201 "hello"`, with its body escaped and cut. JSON stands as it
/// is: it has escapes of its own, and `{"text":"a \"word\""}` with further ones would be unreadable.
pub(super) fn shown(message: &Message) -> String {
    let (code, body) = (message.code(), message.body());
    let (shown, is_cut) = match std::str::from_utf8(body) {
        Ok(text) => {
            let cut: String = text.chars().take(BODY).collect();
            let is_cut = cut.len() < text.len();
            (if is_plain_json(text) { cut } else { format!("{cut:?}") }, is_cut)
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

/// Returns whether a text is a JSON object or array that changes no terminal.
fn is_plain_json(text: &str) -> bool {
    let is_compound = text.starts_with(['{', '[']);
    let is_printable = |text: &str| text.chars().all(|it| it == ' ' || !is_escaped(it));
    is_compound && is_printable(text) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns whether `{:?}` escapes a character that stands outside of quotes and backslashes.
fn is_escaped(character: char) -> bool {
    !matches!(character, '"' | '\\' | '\'') && character.escape_debug().len() > 1
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
        let json = r#"{"text":"a \"word\"\n","n":[1]}"#;
        assert_eq!(shown(&message(json)), format!("200 {json}"), "JSON is escaped once");
        assert_eq!(shown(&message("{\"a\":\n1}")), r#"200 "{\"a\":\n1}""#);
        assert_eq!(shown(&message("[\"\u{202e}\"]")), r#"200 "[\"\u{202e}\"]""#);
        let long = format!("[{}1]", "1,".repeat(BODY));
        assert_eq!(shown(&message(long.clone())), format!("200 {}... (259 bytes)", &long[..BODY]));
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
