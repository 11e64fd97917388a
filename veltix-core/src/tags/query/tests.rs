use proptest::prelude::*;

use super::*;
use crate::limits::{TARGET_DEPTH, TARGET_TERMS};
use crate::tags::model::small_tree;
use crate::tags::{PeerId, all, nobody, peers, tag};

fn parse(text: &str) -> Result<Target, ParseTargetError> {
    text.parse()
}

#[test]
fn a_text_is_a_target_and_a_target_is_a_text() {
    let (a, b, c) = (|| tag("a"), || tag("b"), || tag("c"));
    for (text, target, written) in [
        ("all", all(), "all"),
        ("nobody", nobody(), "nobody"),
        ("room", tag("room").into(), "room"),
        ("room=lobby", tag("room").is("lobby"), "room = lobby"),
        (" level = 3 ", tag("level").is(3), "level = 3"),
        ("level=-3.5e1", tag("level").is(-35.0), "level = -35.0"),
        ("a=true|a=\"true\"", a().is(true) | a().is("true"), "a = true | a = \"true\""),
        ("a=()", a().is(()), "a = ()"),
        ("a=\"10.0.0.7\"", a().is("10.0.0.7"), "a = \"10.0.0.7\""),
        ("\"all\" & \"a b\\n\"", tag("all") & tag("a b\n"), "\"all\" & \"a b\\u000a\""),
        ("a.b-c_d=x.y-z", tag("a.b-c_d").is("x.y-z"), "a.b-c_d = x.y-z"),
        ("\"é\"=\"\\u00e9\\\"\\\\\"", tag("é").is("é\"\\"), "\"é\" = \"é\\\"\\\\\""),
        ("a in (y,x , y)", a().any_of(["x", "y"]), "a in (x, y)"),
        ("a in (1)", a().any_of([1]), "a in (1)"),
        ("a in ()", a().any_of([1; 0]), "a in ()"),
        ("\"in\" in(\"in\")", tag("in").any_of(["in"]), "\"in\" in (\"in\")"),
        ("a>=5", a().at_least(5), "a >= 5"),
        ("a<=-1", a().at_most(-1), "a <= -1"),
        ("a>0.5", a().above(0.5), "a > 0.5"),
        (
            "a<inf | a>-inf | a>=NaN",
            a().below(f64::INFINITY) | a().above(f64::NEG_INFINITY) | a().at_least(f64::NAN),
            "a < inf | a > -inf | a >= NaN",
        ),
        ("#71", peers([PeerId::new(71)]), "#71"),
        ("#18446744073709551615", peers([PeerId::new(u64::MAX)]), "#18446744073709551615"),
        ("#(2, 1)", peers([1, 2].map(PeerId::new)), "#(1, 2)"),
        ("#()", peers(Vec::<PeerId>::new()), "#()"),
        ("!#7", !peers([PeerId::new(7)]), "!#7"),
        ("!a", !a(), "!a"),
        ("!!a", a().into(), "a"),
        ("a!=b", !a().is("b"), "a != b"),
        ("!a=b", !a().is("b"), "a != b"),
        ("!(a>1)", !a().above(1), "!(a > 1)"),
        ("a&b&c", a() & b() & c(), "a & b & c"),
        ("a&(b&c)", a() & b() & c(), "a & b & c"),
        ("a|b&c", a() | b() & c(), "a | b & c"),
        ("(a|b)&c", (a() | b()) & c(), "(a | b) & c"),
        ("!(a|b)|!(a&b)", !(a() | b()) | !(a() & b()), "!(a | b) | !(a & b)"),
        ("a & nobody", nobody(), "nobody"),
    ] {
        assert_eq!(parse(text).as_ref(), Ok(&target), "{text}");
        assert_eq!(target.to_string(), written);
        assert_eq!(parse(written), Ok(target), "{written}");
    }
}

#[test]
fn an_error_tells_the_position() {
    for (text, at) in [
        ("", 0),
        ("   ", 3),
        ("a b", 2),
        ("a &", 3),
        ("a & & b", 4),
        ("a = ", 4),
        ("a = =", 4),
        ("a > lobby", 4),
        ("a >= true", 5),
        ("(a", 2),
        ("a)", 1),
        ("a in 5", 5),
        ("a in (1 2)", 8),
        ("a in (1,", 8),
        ("in", 0),
        ("true", 0),
        ("a = (", 5),
        ("#", 1),
        ("#-1", 1),
        ("#x", 1),
        ("#(1", 3),
        ("a = \"x", 4),
        ("a = \"\\q\"", 4),
        ("a = \"\n\"", 4),
        ("a = 10.0.0.7", 4),
        ("a = -", 4),
        ("a = -infinity", 4),
        ("a = 1e999", 4),
        ("a = 9223372036854775808", 4),
        ("a = 99999999999999999999", 4),
        ("é", 0),
        ("a ? b", 2),
        ("a = 'x'", 4),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.position(), at, "{text}: {error}");
    }
}

#[test]
fn limits_are_those_of_targets_and_of_the_text() {
    let limit = TARGET_DEPTH;
    let nested =
        |open: &str, close: &str, levels| open.repeat(levels) + "a" + &close.repeat(levels);
    assert_eq!(parse(&nested("(", ")", limit)), Ok(tag("a").into()));
    assert_eq!(parse(&nested("!", "", limit)), Ok(tag("a").into()));
    for text in [nested("(", ")", limit + 1), nested("!", "", 4_000), "(".repeat(TARGET_TEXT)] {
        assert_eq!(parse(&text), Err(ParseTargetError::TooDeep { at: limit, limit }));
    }
    let comparisons = vec!["a<1"; 65].join("|");
    assert!(matches!(parse(&comparisons), Err(ParseTargetError::Target(_))));
    let length = TARGET_TEXT + 1;
    assert_eq!(
        parse(&" ".repeat(length)),
        Err(ParseTargetError::TooLong { length, limit: TARGET_TEXT })
    );
    let invalid = peers((0..=TARGET_TERMS as u64).map(PeerId::new));
    assert!(parse(&invalid.to_string()).is_err(), "an invalid target has no text form");
}

#[test]
fn a_text_of_a_peer_cannot_change_how_the_line_is_shown() {
    let written = tag("name").is("\u{202e}\u{1b}[2J\u{7f}\u{2028}").to_string();
    assert!(written.is_ascii() && !written.contains('\u{1b}'), "{written}");
    assert_eq!(parse(&written), Ok(tag("name").is("\u{202e}\u{1b}[2J\u{7f}\u{2028}")));
}

proptest! {
    #[test]
    fn each_target_is_read_back_equal(tree in small_tree()) {
        let target = tree.target();
        let text = target.to_string();
        prop_assert_eq!(parse(&text), Ok(target), "{}", text);
    }

    #[test]
    fn each_name_and_text_is_read_back_equal(name in any::<String>(), text in any::<String>()) {
        let target = tag(name).is(text);
        prop_assert_eq!(parse(&target.to_string()), Ok(target));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ a-c0-9=!<>&|(),#\"\\\\.truinf-]{0,60}") {
        match parse(&text) {
            Ok(target) => prop_assert_eq!(parse(&target.to_string()), Ok(target)),
            Err(error) => prop_assert!(error.position() <= text.len(), "{}", error),
        }
    }
}
