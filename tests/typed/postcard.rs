//! Bodies in postcard.

use veltix::BodyError;
use veltix::typed::{ToMessage, Typed};

use super::{ROOM, received};

#[veltix::message]
#[derive(Clone, Debug, PartialEq)]
enum Telemetry {
    #[message(code = 300, postcard, derive(PartialEq))]
    Sample { at: u64, values: Vec<u8>, tag: Option<bool> },
    #[message(code = 301, postcard)]
    Level(u32),
}

#[test]
fn postcard_bodies_are_compact_and_read_back() {
    let sample = Sample { at: 300, values: vec![1, 2], tag: Some(true) };
    let message = sample.to_message().unwrap();
    assert_eq!(message.body().as_ref(), [0xac, 2, 2, 1, 2, 1, 1]);
    assert_eq!(Telemetry::from(sample.clone()).to_message().unwrap(), message);
    assert_eq!(Sample::from_message(message.clone(), ROOM).unwrap(), sample);
    assert_eq!(Telemetry::from_message(message, ROOM).unwrap(), sample.into());
    assert_eq!(Level(5).to_message().unwrap().body().as_ref(), [5]);
    assert_eq!(Telemetry::Level(5).to_message().unwrap().body().as_ref(), [5]);
}

#[test]
fn what_is_not_postcard_is_refused() {
    for body in [&[0xac][..], &[1, 0xff, 0xff, 0xff, 0xff, 0x0f], &[1, 0, 2]] {
        let error = Sample::from_message(received(300, body), ROOM).unwrap_err();
        assert!(matches!(error, BodyError::Postcard(_)), "{error:?}");
    }
}

#[test]
fn what_follows_is_of_a_later_version() {
    let sample = Sample::from_message(received(300, &[1, 0, 0, 9, 9][..]), ROOM).unwrap();
    assert_eq!(sample, Sample { at: 1, values: vec![], tag: None });
}
