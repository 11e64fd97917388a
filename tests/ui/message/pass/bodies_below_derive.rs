//! A derive above the attribute is expanded first and is kept. The derives of the variants' structs
//! are independent of it.

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say {
        #[serde(rename = "t")]
        text: String,
    },
    #[message(code = 201)]
    Typing,
}

fn main() {
    let say = Chat::from(Say { text: "hi".into() });
    assert_eq!(say, say.clone());
    assert_eq!(serde_json::to_string(&say).unwrap(), r#"{"Say":{"t":"hi"}}"#);
    assert_eq!(veltix::typed::ToMessage::to_message(&say).unwrap().body().as_ref(), br#"{"t":"hi"}"#);
    assert_eq!(serde_json::to_string(&Chat::Typing).unwrap(), r#""Typing""#);
}
