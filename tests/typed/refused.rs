//! Bodies and codes that do not match the expected message type.

use veltix::BodyError;

use super::*;

#[test]
fn another_code_is_refused() {
    let error = Say::from_message(received(201, "hi"), ROOM).unwrap_err();
    assert!(matches!(error, BodyError::WrongType { code: 201, expected: "say" }), "{error:?}");
    let error = Typing::from_message(received(200, ""), ROOM).unwrap_err();
    assert!(matches!(error, BodyError::WrongType { code: 200, expected: "typing" }), "{error:?}");
    let error = Chat::from_message(received(999, ""), ROOM).unwrap_err();
    assert!(matches!(error, BodyError::WrongType { code: 999, expected: "Chat" }), "{error:?}");
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_parsed() {
    let not_json = vec![b'x'; ROOM + 1];
    for code in [200, 202, 204, 205, 208] {
        let error = Chat::from_message(received(code, not_json.clone()), ROOM).unwrap_err();
        let BodyError::TooLarge { size, limit } = error else { panic!("{code}: {error:?}") };
        assert_eq!((size, limit), (ROOM + 1, ROOM));
    }
    let at_limit = Chat::from_message(received(202, vec![0; ROOM]), ROOM);
    assert!(at_limit.is_ok());
}

#[test]
fn a_type_may_have_a_limit_of_its_own() {
    let large = vec![0; 2 * 1024 * 1024];
    assert!(Octets::from_message(received(207, large.clone()), 1).is_ok());
    assert!(Chat::from_message(received(207, large.clone()), 1).is_ok());
    let error = Octets::from_message(received(207, [large, vec![0]].concat()), usize::MAX);
    assert!(matches!(error, Err(BodyError::TooLarge { limit: 2_097_152, .. })));
    let error = Motd::from_message(received(201, "12345"), ROOM).unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { size: 5, limit: 4 }), "{error:?}");
    assert!(Motd::from_message(received(201, "1234"), ROOM).is_ok());
}

#[test]
fn a_body_of_another_shape_is_refused() {
    for body in ["", "{", "[]", "null", r#"{"from": "ann"}"#, r#"{"from": 1, "text": ""}"#] {
        let error = Say::from_message(received(200, body), ROOM).unwrap_err();
        assert!(matches!(error, BodyError::Json(_)), "{body}: {error:?}");
    }
    let strict = r#"{"EXACT": true, "more": 1}"#;
    assert!(Chat::from_message(received(209, strict), ROOM).is_err());
    let error = Motd::from_message(received(201, &b"\xff"[..]), ROOM).unwrap_err();
    assert!(matches!(error, BodyError::Utf8(_)), "{error:?}");
}
