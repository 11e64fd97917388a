//! A value that is sent either fails to be sent, or is received as the same value: in every format of
//! bodies, with floats compared by their bits.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use veltix::{EncodeError, Msg, Router, TagValue};
use veltix_core::TagStore;

use super::*;
use crate::support::World;

/// One message per format.
#[veltix::message]
#[derive(Clone, Debug)]
enum Quiz {
    #[message(code = 400, reply = Answer)]
    Question { x: f64, y: f32, all: Vec<f64>, by_name: BTreeMap<String, f32>, part: Part },
    #[message(code = 401)]
    Answer { x: f64, rest: Option<f64> },
    #[message(code = 402, text)]
    Note(String),
    #[message(code = 403, raw)]
    Blob(Vec<u8>),
    #[message(code = 404)]
    Single(f32),
    #[cfg(feature = "postcard")]
    #[message(code = 405, postcard)]
    Compact { x: f64, y: f32, all: Vec<Option<f64>>, nested: Option<Option<f32>>, unit: Option<()> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    large: i128,
    letter: char,
    #[serde(flatten)]
    flat: Flat,
    shape: Shape,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flat {
    flat: f32,
    count: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Shape {
    Circle { radius: f32 },
    Point { x: f64 },
}

/// Generates floats by their bits, and the usual ones.
fn double() -> BoxedStrategy<f64> {
    prop_oneof![0.0..1000.0, any::<u64>().prop_map(f64::from_bits), Just(-0.0)].boxed()
}

fn single() -> BoxedStrategy<f32> {
    let twice = Just(f32::from_bits(0x15ae_43fd));
    prop_oneof![0.0_f32..1000.0, any::<u32>().prop_map(f32::from_bits), twice].boxed()
}

fn question() -> impl Strategy<Value = Quiz> {
    let shape = prop_oneof![
        single().prop_map(|radius| Shape::Circle { radius }),
        double().prop_map(|x| Shape::Point { x }),
    ];
    let flat = (single(), any::<Option<u64>>()).prop_map(|(flat, count)| Flat { flat, count });
    let part = (any::<i128>(), any::<char>(), flat, shape);
    let part = part.prop_map(|(large, letter, flat, shape)| Part { large, letter, flat, shape });
    let by_name = btree_map(".{0,3}", single(), 0..3);
    (double(), single(), vec(double(), 0..4), by_name, part)
        .prop_map(|(x, y, all, by_name, part)| Quiz::Question { x, y, all, by_name, part })
}

#[cfg(feature = "postcard")]
fn compact() -> BoxedStrategy<Quiz> {
    let nested = option::of(option::of(single()));
    (double(), single(), vec(option::of(double()), 0..4), nested, option::of(Just(())))
        .prop_map(|(x, y, all, nested, unit)| Quiz::Compact { x, y, all, nested, unit })
        .boxed()
}

#[cfg(not(feature = "postcard"))]
fn compact() -> BoxedStrategy<Quiz> {
    single().prop_map(Quiz::Single).boxed()
}

fn quiz() -> impl Strategy<Value = Quiz> {
    prop_oneof![
        question(),
        (double(), option::of(double())).prop_map(|(x, rest)| Quiz::Answer { x, rest }),
        any::<String>().prop_map(Quiz::Note),
        vec(any::<u8>(), 0..64).prop_map(Quiz::Blob),
        single().prop_map(Quiz::Single),
        compact(),
    ]
}

/// Shows a value so that two floats with other bits look different. NaN has many bits, which only
/// postcard keeps.
fn shown(quiz: &Quiz) -> String {
    let mut text = format!("{quiz:?}");
    #[cfg(feature = "postcard")]
    if let Quiz::Compact { x, y, all, .. } = quiz {
        let all: Vec<_> = all.iter().map(|it| it.map(f64::to_bits)).collect();
        text.push_str(&format!("{:x} {:x} {all:x?}", x.to_bits(), y.to_bits()));
    }
    if let Quiz::Single(x) = quiz {
        text.push_str(&format!("{:x}", x.to_bits()));
    }
    text
}

proptest! {
    #[test]
    fn a_value_arrives_as_itself_or_is_not_sent(quiz in quiz()) {
        match quiz.to_message() {
            Ok(message) => {
                let read = Quiz::from_message(message, usize::MAX).unwrap();
                prop_assert_eq!(shown(&read), shown(&quiz));
            }
            Err(error) => {
                prop_assert!(matches!(error, EncodeError::NotFinite { .. }), "{}", error);
                let text = format!("{quiz:?}");
                prop_assert!(text.contains("NaN") || text.contains("inf"), "{}", text);
            }
        }
    }

    /// Numbers that are equal share an entry of the index, and each peer keeps its own form.
    #[test]
    fn a_tag_is_the_value_that_was_set(bits in any::<u64>(), whole in any::<i32>()) {
        let float = f64::from_bits(bits);
        let values = [
            TagValue::from(float), TagValue::from(-0.0), TagValue::from(0.0), TagValue::from(0),
            TagValue::from(whole), TagValue::from(f64::from(whole)), TagValue::from(float as f32),
        ];
        let mut store = TagStore::default();
        for (value, number) in values.iter().zip(1..) {
            let peer = veltix::PeerId::new(number);
            store.enter(peer);
            store.admit(peer);
            store.set(peer, ("n", value.clone())).unwrap();
        }
        for (value, number) in values.iter().zip(1..) {
            let read = store.value(veltix::PeerId::new(number), "n").unwrap();
            prop_assert_eq!(format!("{:?}", read), format!("{:?}", Some(value)));
        }
    }
}

/// The float of the first report, through a server, as a question and as its answer.
#[tokio::test(start_paused = true)]
async fn a_float_passes_through_a_connection() {
    const X: f64 = 985.6906946328695;
    fn answer(Msg(question): Msg<Question>) -> Answer {
        Answer { x: question.x, rest: question.all.first().copied() }
    }
    let world = World::new(Router::new().on(answer));
    let client = world.client(Router::new()).await;
    let part = Part {
        large: i128::MIN,
        letter: 'ß',
        flat: Flat { flat: 0.1, count: None },
        shape: Shape::Point { x: X },
    };
    let question = Question { x: X, y: 0.1, all: vec![X], by_name: BTreeMap::new(), part };
    let answer = client.request(&question).await.unwrap();
    assert_eq!(
        (answer.x.to_bits(), answer.rest.map(f64::to_bits)),
        (X.to_bits(), Some(X.to_bits()))
    );
    let python = r#"{"x": 985.6906946328695, "rest": null}"#;
    let read = Answer::from_message(received(401, python), ROOM).unwrap();
    assert_eq!(read.x.to_bits(), X.to_bits(), "Python writes all digits");
}
