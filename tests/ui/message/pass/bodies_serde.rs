//! Serde's attributes are passed on, independent of the item that derives serde, and the enum keeps
//! those that it needs itself.

#![allow(dead_code)]

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use veltix::typed::{ToMessage, Typed, TypedMessage};

/// Derives serde itself, with a shape of its own.
#[veltix::message]
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Both {
    #[message(code = 200)]
    #[serde(deny_unknown_fields, alias = "said")]
    SayIt {
        #[serde(alias = "who")]
        from_whom: String,
        #[serde(default = "one")]
        times: u8,
    },
    #[message(code = 201)]
    #[serde(rename = "t")]
    Typing,
    #[message(code = 202, derive(PartialEq, Default))]
    #[serde(default)]
    Settings { dark: bool, large: bool },
}

/// A conditional derive needs its attributes under the same condition.
#[veltix::message]
#[cfg_attr(all(), derive(Serialize))]
#[cfg_attr(any(), derive(Deserialize))]
enum Conditional {
    #[message(code = 200)]
    #[cfg_attr(all(), serde(rename_all = "UPPERCASE"))]
    Say {
        text: String,
        #[cfg_attr(any(), serde(rename = "gone"))]
        #[cfg_attr(all(), serde(skip_serializing_if = "Option::is_none"))]
        more: Option<u8>,
        #[cfg(any())]
        absent: Nowhere,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    },
    #[message(code = 201)]
    #[serde(into = "u8", from = "u8")]
    Level { level: u8 },
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.level
    }
}

impl From<u8> for Level {
    fn from(level: u8) -> Self {
        Self { level }
    }
}

fn one() -> u8 {
    1
}

#[track_caller]
fn check(message: &impl ToMessage, json: &str) {
    assert_eq!(message.to_message().unwrap().text().unwrap(), json);
}

fn main() {
    let say = Both::SayIt { from_whom: "ann".into(), times: 2 };
    check(&say, r#"{"fromWhom":"ann","times":2}"#);
    let whole = r#"{"type":"say_it","fromWhom":"ann","times":2}"#;
    assert_eq!(serde_json::to_string(&say).unwrap(), whole);
    assert_eq!(serde_json::from_str::<Both>(whole).unwrap(), say);
    assert_eq!(serde_json::to_string(&Both::Typing).unwrap(), r#"{"type":"t"}"#);
    let message = veltix::Message::from_json(SayIt::TYPE, &serde_json::json!({"who": "ann"}));
    let read = Both::from_message(message.unwrap(), 99).unwrap();
    assert_eq!(read, Both::SayIt { from_whom: "ann".into(), times: 1 });
    let settings = veltix::Message::from_text(Settings::TYPE, r#"{"dark": true}"#);
    let settings = Settings::from_message(settings, 99).unwrap();
    assert_eq!(settings, Settings { dark: true, ..Settings::default() });

    let say = Conditional::Say { text: "hi".into(), more: None, rest: HashMap::new() };
    check(&say, r#"{"TEXT":"hi"}"#);
    check(&Conditional::Level { level: 3 }, "3");
    check(&Level { level: 3 }, "3");
}

