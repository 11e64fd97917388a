//! Values that no receiver could read are refused by the sender, with an error that names the field
//! or the limit.

use std::collections::HashMap;

use veltix::{
    ClientConfig, EncodeError, Event, EventStream, Json, MessageType, Msg, Rejection, RequestError,
    Router, SendError, ServerConfig, all, limits,
};

use super::*;
use crate::support::{PIPE, World};

const MIB: usize = 1024 * 1024;
const JSON: MessageType = MessageType::new(450, "json", "");

#[veltix::message]
#[derive(Clone, Debug)]
enum Odd {
    #[message(code = 430, reply = Measured)]
    Measure { points: Vec<Point>, note: String },
    #[message(code = 431)]
    Measured { value: f64, note: String },
    #[message(code = 432)]
    Maybe { nested: Option<Option<u8>>, unit: Option<()> },
    #[message(code = 433)]
    Deep(serde_json::Value),
    #[message(code = 434, text)]
    Line(String),
    #[message(code = 435, raw)]
    Block(Vec<u8>),
    #[message(code = 436, max = 3 * MIB)]
    Wide { text: String },
    #[message(code = 437, max = 10)]
    Narrow { text: String },
    #[message(code = 438, reply = Measured, error = Failed)]
    Fallible { text: String },
    #[message(code = 439)]
    Failed { value: f64 },
    #[cfg(feature = "postcard")]
    #[message(code = 440, postcard)]
    Compact { bytes: Vec<u8> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Point {
    x: f64,
}

impl From<&Rejection> for Failed {
    fn from(_: &Rejection) -> Self {
        Self { value: f64::NAN }
    }
}

fn measure(x: f64) -> Measure {
    Measure { points: vec![Point { x: 0.5 }, Point { x }], note: String::new() }
}

/// Returns a list of lists with this number of levels.
fn nested(levels: usize) -> Deep {
    Deep((1..levels).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner])))
}

/// Returns a value whose body has this number of bytes.
fn wide(body: usize) -> Wide {
    Wide { text: "x".repeat(body - r#"{"text":""}"#.len()) }
}

fn narrow(body: usize) -> Narrow {
    Narrow { text: wide(body).text }
}

#[track_caller]
fn is_not_finite(error: &EncodeError) {
    let EncodeError::NotFinite { field } = error else { panic!("{error:?}") };
    assert_eq!(&**field, "points[1].x");
    assert!(error.to_string().starts_with("points[1].x is NaN or infinite"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn send_broadcast_request_and_survey_refuse_a_float_that_json_cannot_express() {
    let world = World::new(Router::new());
    let client = world.client(Router::new()).await;
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let value = measure(x);
        let Err(SendError::Encode(error)) = client.send(&value).await else { panic!("it is sent") };
        is_not_finite(&error);
        let Err(SendError::Encode(error)) = client.try_send(&value) else { panic!("it is sent") };
        is_not_finite(&error);
        let start = tokio::time::Instant::now();
        let asked = client.request(&value).await;
        let Err(RequestError::Encode(error)) = asked else { panic!("{asked:?}") };
        is_not_finite(&error);
        assert_eq!(start.elapsed(), std::time::Duration::ZERO, "no timeout is awaited");
        let Err(SendError::Encode(error)) = world.hub.broadcast(&value) else { panic!("sent") };
        is_not_finite(&error);
        let sent = world.hub.to(all()).request(&value);
        let Err(SendError::Encode(error)) = sent else { panic!("it is sent") };
        is_not_finite(&error);
        let whole: Odd = value.into();
        is_not_finite(&whole.to_message().unwrap_err());
    }
    assert_eq!(world.newest().stats().received.received, 0);
    assert_eq!(world.newest().stats().sent.accepted, 0);
}

#[test]
fn a_some_that_is_read_as_none_is_refused() {
    let field = |value: &Maybe| match value.to_message() {
        Ok(message) => panic!("{:?}", message.text()),
        Err(EncodeError::SomeIsNull { field }) => field,
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(&*field(&Maybe { nested: Some(None), unit: None }), "nested");
    assert_eq!(&*field(&Maybe { nested: None, unit: Some(()) }), "unit");
    let readable = Maybe { nested: Some(Some(1)), unit: None }.to_message().unwrap();
    assert_eq!(Maybe::from_message(readable, ROOM).unwrap().nested, Some(Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_value_is_as_deep_as_a_receiver_reads() {
    let world = World::new(Router::new().on(|_: Msg<Deep>| {}));
    let client = world.client(Router::new()).await;
    client.send(&nested(limits::BODY_DEPTH)).await.unwrap();
    for levels in [limits::BODY_DEPTH + 1, 200] {
        let sent = client.send(&nested(levels)).await;
        let Err(SendError::Encode(error)) = sent else { panic!("{sent:?}") };
        assert!(matches!(error, EncodeError::TooDeep { .. }), "{error:?}");
        assert!(error.to_string().contains("more than 127 levels"), "{error}");
    }
    crate::support::quiet().await;
    let received = world.newest().stats().received;
    assert_eq!((received.received, received.handled, received.rejected), (1, 1, 0));
}

#[track_caller]
fn is_over(error: &EncodeError, expected: (usize, usize)) {
    let EncodeError::BodyTooLarge { size, limit } = error else { panic!("{error:?}") };
    assert_eq!((*size, *limit), expected);
}

#[test]
fn a_typed_body_is_as_large_as_a_receiver_reads() {
    let over = (MIB + 1, MIB);
    let bytes = MIB + 1;
    is_over(&Line("x".repeat(bytes)).to_message().unwrap_err(), over);
    is_over(&Block(vec![7; bytes]).to_message().unwrap_err(), over);
    is_over(&Odd::Block(vec![7; bytes]).to_message().unwrap_err(), over);
    is_over(&Deep("x".repeat(bytes - 2).into()).to_message().unwrap_err(), over);
    let note = "x".repeat(bytes - r#"{"points":[],"note":""}"#.len());
    let large = Measure { points: vec![], note };
    is_over(&large.to_message().unwrap_err(), over);
    is_over(&Odd::from(large).to_message().unwrap_err(), over);
    #[cfg(feature = "postcard")]
    {
        let compact = Compact { bytes: vec![7; bytes - 3] };
        is_over(&compact.to_message().unwrap_err(), over);
        assert!(Compact { bytes: vec![7; bytes - 4] }.to_message().is_ok());
    }
    let line = Line("x".repeat(MIB)).to_message().unwrap();
    assert!(Line::from_message(line, MIB).is_ok());
    // A type's own limit replaces the others.
    assert!(wide(3 * MIB).to_message_within(1).is_ok());
    is_over(&wide(3 * MIB + 1).to_message().unwrap_err(), (3 * MIB + 1, 3 * MIB));
    is_over(&narrow(12).to_message_within(MIB).unwrap_err(), (12, 10));
    assert_eq!((Wide::MAX, Narrow::MAX, Line::MAX), (Some(3 * MIB), Some(10), None));
}

/// Each side sends as much as it reads, and a message of another form is not limited.
#[tokio::test(start_paused = true)]
async fn the_limit_is_that_of_the_sending_side() {
    let config = ServerConfig::default().max_typed_body(2 * MIB);
    let grow = |Msg(line): Msg<Line>| drop(line);
    let world = World::with(config, PIPE, Router::new().on(grow));
    let client = world.client(Router::new()).await;
    let line = Line("x".repeat(MIB + 1));
    let Err(SendError::Encode(error)) = client.send(&line).await else { panic!("it is sent") };
    is_over(&error, (MIB + 1, MIB));
    client.send(&Message::from_text(Line::TYPE, line.0.clone())).await.unwrap();
    let raised = ClientConfig::default().max_typed_body(2 * MIB);
    let raised = world.client_with(raised, Router::new()).await;
    raised.send(&line).await.unwrap();
    assert_eq!(world.hub.broadcast(&line).unwrap().matched, 2);
    let larger = Line("x".repeat(2 * MIB + 1));
    let Err(SendError::Encode(error)) = world.hub.broadcast(&larger) else { panic!("it is sent") };
    is_over(&error, (2 * MIB + 1, 2 * MIB));
}

/// Returns the text of the next failed handler.
async fn failure(events: &mut EventStream) -> String {
    let failed = |event| match event {
        Event::HandlerFailed { error, .. } => Some(error),
        Event::Rejected { reason, .. } => panic!("it is rejected: {reason}"),
        _ => None,
    };
    crate::support::until(events, failed).await
}

/// A reply that no asker could read is an error of its handler.
#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_read_is_a_failed_handler() {
    let reply = |Msg(measure): Msg<Measure>| Measured {
        value: measure.points.first().map_or(f64::NAN, |point| point.x),
        note: measure.note.repeat(100),
    };
    let json = || Json([Some(0.5), Some(f64::NAN)]);
    let told = |Msg(it): Msg<Fallible>| match it.text.as_str() {
        "" => Err(Failed { value: f64::INFINITY }),
        text => Ok(Measured { value: 0.0, note: text.to_owned() }),
    };
    let router = Router::new().on(reply).route(JSON, json).on(told);
    let world = World::with(ServerConfig::default().max_typed_body(MIB / 2), PIPE, router);
    let mut events = world.hub.events();
    let client = world.client(Router::new()).await;

    let asked = client.request(&Measure { points: vec![], note: String::new() }).await;
    assert!(matches!(asked, Err(RequestError::Timeout { .. })), "{asked:?}");
    assert!(failure(&mut events).await.starts_with("value is NaN or infinite"));
    let note = "x".repeat(MIB / 200 + 1);
    let points = vec![Point { x: 0.5 }];
    client.request(&Measure { points, note }).await.unwrap_err();
    let error = failure(&mut events).await;
    assert!(error.contains("is over max_typed_body (524288)"), "{error}");
    client.request(&Message::empty(JSON)).await.unwrap_err();
    assert!(failure(&mut events).await.starts_with("[1] is NaN or infinite"));
    client.request(&Fallible { text: String::new() }).await.unwrap_err();
    let error = failure(&mut events).await;
    assert!(error.starts_with("the declared error, which cannot be sent"), "{error}");
    assert!(error.contains("value is NaN or infinite"), "{error}");
    // The error that the message declares for a rejection cannot be sent: the event has its reason.
    client.request(&Message::from_text(Fallible::TYPE, "?")).await.unwrap_err();
    let rejected = |event| match event {
        Event::Rejected { reason, .. } => Some(reason),
        _ => None,
    };
    let reason = crate::support::until(&mut events, rejected).await;
    assert!(reason.starts_with("the body is not the JSON that was expected"), "{reason}");
    let asked = client.request(&Fallible { text: "fine".to_owned() }).await;
    assert_eq!(asked.unwrap().note, "fine");
}

#[test]
fn json_without_a_type_is_checked_as_well() {
    let error = Message::from_json(JSON, &HashMap::from([("k", f32::NAN)])).unwrap_err();
    assert!(matches!(&error, EncodeError::NotFinite { field } if &**field == "k"), "{error:?}");
    let error = veltix::text::encode_json(&Some(())).unwrap_err();
    assert!(matches!(error, EncodeError::SomeIsNull { .. }), "{error:?}");
}

/// A raw value is written as it is: `null` is `None` for its reader, and its depth does not count.
#[test]
fn a_raw_null_in_a_some_is_refused() {
    use serde_json::value::RawValue;

    #[veltix::message]
    enum Raw {
        #[message(code = 470)]
        Held { raw: Option<Box<RawValue>>, text: Option<String> },
    }
    let held = |json: &str| Held {
        raw: Some(RawValue::from_string(json.to_owned()).unwrap()),
        text: Some("null".to_owned()),
    };
    let Err(EncodeError::SomeIsNull { field }) = held("null").to_message() else { panic!("sent") };
    assert!(field.starts_with("raw"), "{field}");
    let deep = "[".repeat(300) + &"]".repeat(300);
    for json in [r#""null""#, "[null]", "985.6906946328695", &deep] {
        let read = Held::from_message(held(json).to_message().unwrap(), ROOM).unwrap();
        assert_eq!((read.raw.unwrap().get(), read.text.as_deref()), (json, Some("null")));
    }
}

/// Serde writes these forms and does not read them. Debug builds and the test kit notice that.
mod proved {
    use super::*;

    #[veltix::message]
    #[derive(Clone, Debug)]
    enum Unread {
        #[message(code = 460)]
        ByNumber {
            #[serde(flatten)]
            rest: BTreeMap<u32, u8>,
        },
        #[message(code = 461)]
        Large {
            #[serde(flatten)]
            inner: Inner,
        },
        #[message(code = 462)]
        Untagged(Either),
        #[message(code = 463)]
        Of(Plain),
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Inner {
        large: u128,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u128),
        Text(String),
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Plain {
        large: u128,
        by_number: BTreeMap<u32, u8>,
    }

    #[veltix::message]
    #[derive(Clone, Debug)]
    enum Generic<T> {
        #[message(code = 464)]
        Held {
            #[serde(flatten)]
            value: T,
        },
    }

    #[track_caller]
    fn not_readable(value: &impl ToMessage) {
        let error = value.to_message().unwrap_err();
        assert!(matches!(error, EncodeError::NotReadable(_)), "{error:?}");
    }

    #[test]
    fn a_form_that_only_a_reader_refuses_is_noticed() {
        let large = u128::from(u64::MAX) + 1;
        not_readable(&ByNumber { rest: BTreeMap::from([(1, 1)]) });
        not_readable(&Unread::ByNumber { rest: BTreeMap::from([(1, 1)]) });
        not_readable(&Large { inner: Inner { large } });
        not_readable(&Untagged(Either::Number(large)));
        not_readable(&Unread::Untagged(Either::Number(large)));
        not_readable(&Held { value: Inner { large } });
        not_readable(&Generic::Held { value: Inner { large } });
        assert!(ByNumber { rest: BTreeMap::new() }.to_message().is_ok());
        assert!(Untagged(Either::Text("1".to_owned())).to_message().is_ok());
        let plain = Of(Plain { large, by_number: BTreeMap::from([(1, 1)]) });
        let read = Of::from_message(plain.to_message().unwrap(), ROOM).unwrap();
        assert_eq!((read.0.large, read.0.by_number), (large, plain.0.by_number));
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_names_the_cause() {
        let world = World::new(Router::new());
        let client = world.client(Router::new()).await;
        let sent = client.send(&ByNumber { rest: BTreeMap::from([(1, 1)]) }).await;
        let Err(error @ SendError::Encode(_)) = sent else { panic!("{sent:?}") };
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap();
        assert!(cause.contains("cannot be read back as its own type"), "{cause}");
    }
}
