//! Hellos that no honest peer sends, each with its verdict.

/// Describes the result of a hello.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The hello is accepted, whatever else it contains.
    Accepted,
    /// The hello is not a JSON object.
    NotAnObject,
    /// The `pv` of the hello is not compatible.
    Version,
}

use Verdict::{Accepted, NotAnObject, Version};

/// Lists texts that an attacker would like to have in a log.
const NASTY: [&str; 8] = [
    "\\r\\n2026-01-01 ERROR root: owned",
    "\\u001b[2J\\u001b[31m",
    "\\u0000\\u0007\\u0008",
    "\\u202e\\u2066",
    "\\u2028\\u2029\\u0085",
    "\\\" level=ERROR msg=\\\"",
    "\\\\n\\\\r",
    "\\ud83d\\ude00\\u200b",
];

/// Returns at least 500 hellos: the JSON, and the verdict of both sides.
pub(crate) fn hellos() -> Vec<(Vec<u8>, Verdict)> {
    let mut all = Vec::new();
    let mut add = |json: String, verdict| all.push((json.into_bytes(), verdict));

    // The values are nested as deep as a message has room for. 128 levels and more are too deep.
    for depth in [1, 2, 10, 100, 120, 125, 126, 127, 128, 129, 200, 1_000, 5_000, 10_000] {
        let fits = |levels| if depth + levels < 128 { Accepted } else { NotAnObject };
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        add(format!(r#"{{"pv": "1.0", "x": {open}{close}}}"#), fits(1));
        add(format!(r#"{{"pv": "1.0", "meta": {{"veltix": {open}{close}}}}}"#), fits(2));
        add(format!("{open}{close}"), NotAnObject);
        add(open.clone(), NotAnObject);
        let (open, close) = (r#"{"a":"#.repeat(depth.min(5_000)), "}".repeat(depth.min(5_000)));
        add(format!(r#"{{"pv": "1.0", "x": {open}0{close}}}"#), fits(1));
        add(open, NotAnObject);
    }
    // The last of two equal keys counts.
    for (first, second, verdict) in [
        (r#""1.0""#, r#""2.0""#, Version),
        (r#""2.0""#, r#""1.0""#, Accepted),
        (r#""1.0""#, "null", Version),
        ("[]", r#""1.7""#, Accepted),
    ] {
        for more in [0, 1, 50, 1_000] {
            let keys = format!(r#""pv": {first}, "#).repeat(more + 1);
            add(format!(r#"{{{keys}"pv": {second}}}"#), verdict);
        }
    }
    // Some of the numbers fit a double, and some do not.
    for (number, fits) in [
        ("1e400", false),
        ("-1e400", false),
        ("1e999999999999999999999", false),
        ("1e-400", true),
        ("123456789012345678901234567890", true),
        ("-0", true),
        ("0.1e1", true),
        ("01", false),
        ("+1", false),
        ("1.", false),
        (".5", false),
        ("0x10", false),
        ("NaN", false),
        ("Infinity", false),
        ("-Infinity", false),
    ] {
        let verdict = |fitting| if fits { fitting } else { NotAnObject };
        add(format!(r#"{{"pv": "1.0", "x": {number}}}"#), verdict(Accepted));
        add(format!(r#"{{"pv": "1.0", "meta": {{"id_window": {number}}}}}"#), verdict(Accepted));
        add(format!(r#"{{"pv": {number}}}"#), verdict(Version));
        add(format!(r#"{{"pv": "1.0", "v": {number}}}"#), verdict(Accepted));
        add(number.to_owned(), NotAnObject);
    }
    // These are halves of surrogate pairs.
    for half in
        ["\\ud800", "\\udbff", "\\udc00", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800", "\\ud800x"]
    {
        add(format!(r#"{{"pv": "1.0", "v": "{half}"}}"#), NotAnObject);
        add(format!(r#"{{"pv": "{half}"}}"#), NotAnObject);
        add(format!(r#"{{"pv": "1.0", "{half}": 0}}"#), NotAnObject);
        add(format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"x": "{half}"}}}}}}"#), NotAnObject);
    }
    // These texts are not objects, or not JSON.
    for json in [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.0",
        "\"\"",
        "\"1.0\"",
        "[]",
        "[{}]",
        "[[]]",
        r#"[{"pv": "1.0"}]"#,
        "",
        " ",
        "\n",
        "{",
        "}",
        "{}}",
        "{} {}",
        "{},",
        "nope",
        "'1.0'",
        "{pv: 1}",
        "{'pv': '1.0'}",
        r#"{"pv"}"#,
        r#"{"pv":}"#,
        r#"{"pv": "1.0",}"#,
        r#"{"pv": "1.0" "v": ""}"#,
        r#"{"pv": "1.0"} x"#,
        r#"{"pv": "1.0"#,
        r#"{"pv": "1.0\"}"#,
        r#"{"pv": "1.\x30"}"#,
        r#"{"pv": "1.\u00"}"#,
        "{\"pv\": \"1.0\n\"}",
        "{\"pv\": \"1.0\", \"\u{1}\": 0}",
        "// {\"pv\": \"1.0\"}",
        "GET / HTTP/1.1",
        "\u{0}",
        "{\"pv\": \"1.0\"}\u{0}",
    ] {
        add(json.to_owned(), NotAnObject);
    }
    // These are values of `pv` of every type, and texts that are nearly right.
    for pv in [
        "1",
        "1.0",
        "2",
        "-1",
        "null",
        "true",
        "[]",
        "[1, 0]",
        r#"["1.0"]"#,
        "{}",
        r#"{"1": 0}"#,
        r#""""#,
        r#""1""#,
        r#""1.""#,
        r#"".0""#,
        r#""1.0.0""#,
        r#""1,0""#,
        r#""2.0""#,
        r#""0.9""#,
        r#""11.0""#,
        r#""1.x""#,
        r#""x.1""#,
        r#"" 1.0""#,
        r#""1.0 ""#,
        r#""+1.0""#,
        r#""-1.0""#,
        r#""1.-0""#,
        r#""1e0.0""#,
        r#""\u0661.0""#,
        r#""1.\u0660""#,
        r#""1.0\n""#,
        r#""1\u0000.0""#,
        r#""18446744073709551617.0""#,
    ] {
        add(format!(r#"{{"pv": {pv}}}"#), Version);
        add(format!(r#"{{"v": "3.3.0", "pv": {pv}, "meta": {{}}}}"#), Version);
    }
    for pv in ["1.0", "01.0", "1.999999", "1.00000000000000000000000000000", "0000000000000001.7"] {
        add(format!(r#"{{"pv": "{pv}"}}"#), Accepted);
        add(format!("\u{feff}{{\"pv\": \"{pv}\"}}"), Accepted);
    }
    // The hostile texts stand in every place that a log may show.
    for nasty in NASTY {
        for times in [1, 10, 300] {
            let words = nasty.repeat(times);
            add(format!(r#"{{"pv": "{words}"}}"#), Version);
            add(format!(r#"{{"pv": ["{words}"]}}"#), Version);
            add(format!(r#"{{"pv": {{"{words}": "{words}"}}}}"#), Version);
            add(format!(r#"{{"pv": "1.0", "v": "{words}"}}"#), Accepted);
            add(format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"x": "{words}"}}}}}}"#), Accepted);
            add(format!(r#"{{"pv": "1.0", "{words}": "{words}"}}"#), Accepted);
        }
    }
    // These hellos are as long as possible.
    for length in [100, 128, 129, 1_000, 10_000, 29_000, 30_600] {
        let long = "9".repeat(length);
        add(format!(r#"{{"pv": "1.0", "v": "{long}"}}"#), Accepted);
        add(format!(r#"{{"pv": "1.{long}"}}"#), Accepted);
        add(format!(r#"{{"pv": "{long}.0"}}"#), Version);
        add(format!(r#"{{"pv": "1.0", "meta": "{long}"}}"#), Accepted);
        add(format!(r#"{{"pv": "1.0", "{long}": 0}}"#), Accepted);
        add(
            format!(r#"{{"pv": "1.0", "x": {long}}}"#),
            if length < 309 { Accepted } else { NotAnObject },
        );
        add(" ".repeat(length), NotAnObject);
        add(format!(r#"{}{{"pv": "1.0"}}"#, " ".repeat(length)), Accepted);
        let many = "0,".repeat(length / 2);
        add(format!(r#"{{"pv": "1.0", "meta": [{many}0]}}"#), Accepted);
    }
    // These bytes are not UTF-8.
    for bad in [
        &b"\xff"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\x80",
        b"\xe2\x82",
        b"\xfe\xff",
    ] {
        all.push((bad.to_vec(), NotAnObject));
        for (before, behind) in [
            (&br#"{"pv": ""#[..], &br#""}"#[..]),
            (br#"{"pv": "1.0", "v": ""#, br#""}"#),
            (br#"{"pv": "1.0", ""#, br#"": 0}"#),
            (b"", br#"{"pv": "1.0"}"#),
            (br#"{"pv": "1.0"}"#, b""),
        ] {
            all.push(([before, bad, behind].concat(), NotAnObject));
        }
    }
    all
}
