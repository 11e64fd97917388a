//! The delivery policy that a message type declares.

use veltix::OverflowPolicy;
use veltix::typed::{DeliveryClass, Key, ToMessage};

use super::*;

#[veltix::message]
enum Game {
    #[message(code = 300, latest = "player")]
    Position { player: u32, x: f32 },
    #[message(code = 301, latest = "0", text)]
    Cursor(String),
    #[message(code = 302, latest)]
    Tick { at: u64 },
    #[message(code = 303, on_full = "drop_oldest")]
    Sound { name: String },
    #[message(code = 304, on_full = "drop_newest")]
    Spark,
    #[message(code = 305, on_full = "disconnect", raw)]
    State(Bytes),
    #[message(code = 306, latest = "type")]
    Kind { r#type: String },
    #[message(code = 307)]
    Plain { text: String },
}

#[track_caller]
fn check(message: impl ToMessage + Clone + Into<Game>, class: DeliveryClass) {
    let game: Game = message.clone().into();
    assert_eq!(message.to_message().unwrap().delivery_class(), &class);
    assert_eq!(game.to_message().unwrap().delivery_class(), &class);
}

#[test]
fn the_newest_is_known_by_the_value_of_a_field() {
    check(Position { player: 7, x: 0.5 }, DeliveryClass::of_key(7));
    check(Position { player: 8, x: 0.5 }, DeliveryClass::of_key(8));
    check(Cursor("ann".to_owned()), DeliveryClass::of_key("ann"));
    check(Tick { at: 1 }, DeliveryClass::of_key(Key::from(())));
    check(Kind { r#type: "a".to_owned() }, DeliveryClass::of_key("a"));
}

#[test]
fn a_policy_goes_along() {
    let policy = |policy| DeliveryClass::of_policy(policy);
    check(Sound { name: String::new() }, policy(OverflowPolicy::DropOldest));
    check(Spark, policy(OverflowPolicy::DropNewest));
    check(State(Bytes::new()), policy(OverflowPolicy::Disconnect));
    check(Plain { text: String::new() }, DeliveryClass::DEFAULT);
}
