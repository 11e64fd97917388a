#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;
use crate::limits::BODY_DEPTH;

/// A value of each kind that serde knows. Floats are compared by their bits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Everything {
    double: f64,
    single: f32,
    doubles: Vec<f64>,
    maybe: Option<f64>,
    nested: Option<Box<Self>>,
    large: (i128, u128),
    numbers: (i8, i64, u64),
    letter: char,
    text: String,
    nothing: (),
    unit: Unit,
    wrapped: Wrapped,
    choice: Choice,
    by_number: BTreeMap<i64, f32>,
    by_letter: BTreeMap<char, Option<u8>>,
    by_truth: BTreeMap<bool, Unit>,
    by_choice: BTreeMap<Key, f64>,
    tagged: Option<Tagged>,
    #[serde(flatten)]
    flat: Flat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Wrapped(Option<String>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
enum Choice {
    #[default]
    None,
    One(f64),
    Two(f32, Option<()>),
    Named {
        x: f64,
        y: Option<bool>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    First,
    Second,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Point { x: f64, y: f32 },
    Empty,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Flat {
    flat_double: f64,
    flat_single: f32,
    flat_number: u64,
    flat_maybe: Option<i32>,
}

/// Generates finite floats of all magnitudes, by their bits.
fn double() -> impl Strategy<Value = f64> {
    let bits = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |it| it.is_finite());
    prop_oneof![0.0..1000.0, bits, Just(-0.0), Just(f64::MIN_POSITIVE), Just(5e-324)]
}

fn single() -> impl Strategy<Value = f32> {
    let bits = any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |it| it.is_finite());
    prop_oneof![0.0_f32..1000.0, bits, Just(-0.0), Just(f32::from_bits(0x15ae_43fd))]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::None),
        double().prop_map(Choice::One),
        single().prop_map(|it| Choice::Two(it, None)),
        (double(), any::<Option<bool>>()).prop_map(|(x, y)| Choice::Named { x, y }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let tagged = (double(), single()).prop_map(|(x, y)| Tagged::Point { x, y });
    let tagged = option::of(prop_oneof![tagged, Just(Tagged::Empty)]);
    let flat = (double(), single(), any::<u64>(), any::<Option<i32>>());
    let flat = flat.prop_map(|(flat_double, flat_single, flat_number, flat_maybe)| Flat {
        flat_double,
        flat_single,
        flat_number,
        flat_maybe,
    });
    let floats = (double(), single(), vec(double(), 0..4), option::of(double()), choice());
    let others = (any::<(i128, u128)>(), any::<(i8, i64, u64)>(), any::<char>(), ".*", tagged);
    let maps = (
        btree_map(any::<i64>(), single(), 0..4),
        btree_map(any::<char>(), any::<Option<u8>>(), 0..4),
        btree_map(any::<bool>(), Just(Unit), 0..2),
        btree_map(prop_oneof![Just(Key::First), Just(Key::Second)], double(), 0..2),
    );
    let one = (floats, others, maps, flat, option::of(".*")).prop_map(
        |(floats, others, maps, flat, wrapped)| Everything {
            double: floats.0,
            single: floats.1,
            doubles: floats.2,
            maybe: floats.3,
            choice: floats.4,
            large: others.0,
            numbers: others.1,
            letter: others.2,
            text: others.3,
            tagged: others.4,
            by_number: maps.0,
            by_letter: maps.1,
            by_truth: maps.2,
            by_choice: maps.3,
            wrapped: Wrapped(wrapped),
            flat,
            ..Everything::default()
        },
    );
    let one = one.boxed();
    (one.clone(), option::of(one))
        .prop_map(|(one, nested)| Everything { nested: nested.map(Box::new), ..one })
}

/// Shows a value so that floats with other bits look different.
fn shown(value: &Everything) -> String {
    format!("{value:?}")
}

proptest! {
    #[test]
    fn a_written_value_is_the_read_value(value in everything()) {
        let compact = write(&value).unwrap();
        let read: Everything = serde_json::from_slice(&compact).unwrap();
        prop_assert_eq!(shown(&read), shown(&value));
        let python = crate::text::encode_json(&value).unwrap();
        let read: Everything = crate::text::decode_json(&python).unwrap();
        prop_assert_eq!(shown(&read), shown(&value));
    }

    #[test]
    fn floats_keep_their_bits(double in double(), single in single()) {
        let back: f64 = serde_json::from_slice(&write(&double).unwrap()).unwrap();
        prop_assert_eq!(back.to_bits(), double.to_bits());
        let back: f32 = serde_json::from_slice(&write(&single).unwrap()).unwrap();
        prop_assert_eq!(back.to_bits(), single.to_bits());
        let back: Value = serde_json::from_slice(&write(&double).unwrap()).unwrap();
        prop_assert_eq!(back.as_f64().unwrap().to_bits(), double.to_bits());
    }

    /// Compares with serde_json, which is correct for values that break no rule.
    #[test]
    fn the_bytes_are_those_of_serde_json(value in everything()) {
        prop_assume!(!shown(&value).contains("7.038531e-26"));
        prop_assert_eq!(write(&value).unwrap(), serde_json::to_vec(&value).unwrap());
    }
}

/// The two steps from text to 64 bits and to 32 bits give another float here than one step.
#[test]
fn a_float_that_rounds_twice_is_kept_in_a_flattened_field() {
    for bits in [0x15ae_43fd, 0x95ae_43fd_u32] {
        let single = f32::from_bits(bits);
        let flat = Flat { flat_single: single, ..Flat::default() };
        let value = Everything { single, flat, ..Everything::default() };
        let read: Everything = serde_json::from_slice(&write(&value).unwrap()).unwrap();
        assert_eq!((read.single.to_bits(), read.flat.flat_single.to_bits()), (bits, bits));
        let digits = serde_json::to_string(&single).unwrap();
        let twice = digits.parse::<f64>().unwrap() as f32;
        assert_ne!(twice.to_bits(), bits, "otherwise the rule is not needed");
    }
}

#[track_caller]
fn refused<T: Serialize>(value: &T, expected: &str) {
    let error = write(value).unwrap_err();
    let shown = match &error {
        EncodeError::NotFinite { field } => format!("float {field}"),
        EncodeError::SomeIsNull { field } => format!("some {field}"),
        EncodeError::TooDeep { field } => format!("deep {}", &field[..9]),
        other => format!("{other:?}"),
    };
    assert_eq!(shown, expected);
    assert!(crate::text::encode_json(value).is_err());
}

#[test]
fn a_float_that_json_cannot_express_is_named() {
    let infinite = f64::NEG_INFINITY;
    refused(&f64::NAN, "float the body");
    refused(&Some(f32::NAN), "float the body");
    refused(&Everything { double: f64::NAN, ..Default::default() }, "float double");
    refused(&Everything { maybe: Some(f64::NAN), ..Default::default() }, "float maybe");
    refused(&Everything { doubles: vec![0.0, infinite], ..Default::default() }, "float doubles[1]");
    let choice = Choice::Named { x: f64::INFINITY, y: None };
    let nested = Some(Box::new(Everything { choice, ..Default::default() }));
    refused(&Everything { nested, ..Default::default() }, "float nested.choice.x");
    let choice = Choice::One(infinite);
    refused(&Everything { choice, ..Default::default() }, "float choice.One");
    let flat = Flat { flat_single: f32::INFINITY, ..Default::default() };
    refused(&Everything { flat, ..Default::default() }, "float flat_single");
    let by_number = BTreeMap::from([(-3, 1.0), (7, f32::NAN)]);
    refused(&Everything { by_number, ..Default::default() }, r#"float by_number["7"]"#);
    refused(&BTreeMap::from([("a\n\"", f64::NAN)]), r#"float ["a\n\""]"#);
    let tagged = Some(Tagged::Point { x: f64::NAN, y: 0.0 });
    refused(&Everything { tagged, ..Default::default() }, "float tagged.x");
}

#[test]
fn a_some_that_prints_as_null_is_named() {
    refused(&Some(None::<u8>), "some the body");
    refused(&Some(Some(())), "some the body");
    refused(&vec![None, Some(Unit)], "some [1]");
    refused(&Some(Wrapped(None)), "some the body");
    refused(&Some(Value::Null), "some the body");
    refused(&Choice::Two(0.0, Some(())), "some [1]");
    refused(&BTreeMap::from([(1, Some(()))]), r#"some ["1"]"#);
    for readable in [Some(vec![None::<u8>]), Some(vec![]), None] {
        let json = write(&readable).unwrap();
        assert_eq!(serde_json::from_slice::<Option<Vec<Option<u8>>>>(&json).unwrap(), readable);
    }
    write(&Some(BTreeMap::from([(1, ())]))).unwrap();
    write(&Some(Choice::None)).unwrap();
    write(&Value::Null).unwrap();
}

#[derive(Debug, Serialize, Deserialize)]
enum Chain {
    End,
    Next(Box<Self>),
    Named { next: Box<Self> },
    Pair(Box<Self>, u8),
}

/// Writing refuses the depth at which reading begins to fail, for each form of nesting.
#[test]
fn the_depth_of_a_value_is_that_which_is_read() {
    type Wrap = fn(Box<Chain>) -> Chain;
    let wraps: [(Wrap, usize); 3] =
        [(Chain::Next, 1), (|next| Chain::Named { next }, 2), (|next| Chain::Pair(next, 0), 2)];
    for (wrap, levels) in wraps {
        let chain = |length| (0..length).fold(Chain::End, |inner, _| wrap(Box::new(inner)));
        let limit = BODY_DEPTH / levels;
        let json = write(&chain(limit)).unwrap();
        serde_json::from_slice::<Chain>(&json).unwrap();
        let json = serde_json::to_vec(&chain(limit + 1)).unwrap();
        serde_json::from_slice::<Chain>(&json).unwrap_err();
        assert!(matches!(write(&chain(limit + 1)), Err(EncodeError::TooDeep { .. })));
    }
    let list = |depth| (1..depth).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
    serde_json::from_slice::<Value>(&write(&list(BODY_DEPTH)).unwrap()).unwrap();
    refused(&list(BODY_DEPTH + 1), "deep [0][0][0]");
    let map = |depth| (1..depth).fold(Value::Null, |inner, _| serde_json::json!({ "a": inner }));
    serde_json::from_slice::<Value>(&write(&map(BODY_DEPTH + 1)).unwrap()).unwrap();
    refused(&map(BODY_DEPTH + 2), "deep a.a.a.a.a");
}

/// JSON writes bytes as an array.
#[test]
fn bytes_are_a_level_of_their_own() {
    enum Nested<'a> {
        Bytes,
        List(&'a Self),
    }
    impl Serialize for Nested<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Bytes => serializer.serialize_bytes(&[1, 2]),
                Self::List(inner) => serializer.collect_seq([inner]),
            }
        }
    }
    fn nested(levels: usize, value: &Nested<'_>, check: fn(&Nested<'_>)) {
        match levels {
            1 => check(value),
            _ => nested(levels - 1, &Nested::List(value), check),
        }
    }
    nested(BODY_DEPTH, &Nested::Bytes, |value| {
        serde_json::from_slice::<Value>(&write(value).unwrap()).unwrap();
    });
    nested(BODY_DEPTH + 1, &Nested::Bytes, |value| refused(value, "deep [0][0][0]"));
}

#[test]
fn the_path_of_a_deep_part_is_cut() {
    let list = (0..200).fold(Value::Array(vec![]), |inner, _| Value::Array(vec![inner]));
    let Err(EncodeError::TooDeep { field }) = write(&list) else { panic!("it is too deep") };
    assert_eq!(field.chars().count(), crate::limits::LOGGED_CHARS + 1);
    assert!(field.ends_with('…'));
}

/// Other errors of a value are those of serde_json.
#[test]
fn keys_that_are_no_texts_are_refused_by_serde_json() {
    let error = write(&BTreeMap::from([(vec![1], 1)])).unwrap_err();
    assert!(matches!(error, EncodeError::Json(_)), "{error:?}");
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("broken"))
        }
    }
    let error = write(&[Broken]).unwrap_err();
    assert!(matches!(&error, EncodeError::Json(inner) if inner.to_string() == "broken"));
}

/// A key is a float in a few types. It is finite, or serde_json refuses it.
#[test]
fn keys_that_are_floats_are_finite() {
    struct Keyed(f64);
    impl Serialize for Keyed {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(self.0, 1)])
        }
    }
    assert_eq!(write(&Keyed(0.1)).unwrap(), br#"{"0.1":1}"#);
    refused(&Keyed(f64::NAN), r#"float ["a key"]"#);
}

/// Every send returns the error by value.
#[test]
fn the_error_is_small() {
    assert!(size_of::<EncodeError>() <= 24, "{}", size_of::<EncodeError>());
}
