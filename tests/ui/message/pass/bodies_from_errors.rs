//! `from_errors`: `?` converts each error of Veltix, beside conversions of the application's own.

use std::fmt::Debug;

use veltix::{
    BindError, BodyError, ConnectError, EncodeError, Message, Msg, Peer, Rejection, RequestError,
    Router, SendError, TagError, TargetError, TlsConfigError,
};

#[veltix::message]
enum Rooms<K: Debug> {
    #[message(code = 200, reply = Roster, error = Fault)]
    Who { room: String },
    #[message(code = 201)]
    Roster { names: Vec<String> },
    #[message(code = 202, from_errors)]
    Fault { why: String },
    #[message(code = 203, from_errors)]
    Generic { key: Option<K> },
    #[message(code = 204, from_errors)]
    Own(Own),
    #[message(code = 205, from_errors)]
    Empty,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Own(String);

impl From<veltix::Error> for Fault {
    fn from(error: veltix::Error) -> Self {
        Self { why: error.to_string() }
    }
}

impl<K: Debug> From<veltix::Error> for Generic<K> {
    fn from(_: veltix::Error) -> Self {
        Self { key: None }
    }
}

impl From<veltix::Error> for Own {
    fn from(error: veltix::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<veltix::Error> for Empty {
    fn from(_: veltix::Error) -> Self {
        Self
    }
}

impl From<&Rejection> for Fault {
    fn from(rejection: &Rejection) -> Self {
        Self { why: rejection.to_string() }
    }
}

impl From<std::num::ParseIntError> for Fault {
    fn from(error: std::num::ParseIntError) -> Self {
        Self { why: error.to_string() }
    }
}

async fn who(peer: Peer, Msg(who): Msg<Who>) -> Result<Roster, Fault> {
    let _: u8 = who.room.parse()?;
    peer.send(&Roster { names: Vec::new() }).await?;
    peer.set_tag(("room", who.room.as_str()))?;
    let answer: Message = peer.request(&Message::empty(Empty::MESSAGE)).await?;
    let names = vec![answer.text()?.to_owned()];
    // The peer's own error is a part of the call's error.
    Ok(match peer.request(&who).await {
        Err(RequestError::Remote(fault)) => return Err(fault),
        other => Roster { names: [names, other?.names].concat() },
    })
}

impl Empty {
    const MESSAGE: veltix::MessageType = veltix::MessageType::new(205, "empty", "");
}

fn each<T>()
where
    T: From<BindError> + From<BodyError> + From<ConnectError> + From<EncodeError> + From<SendError>,
    T: From<TagError> + From<TargetError> + From<TlsConfigError>,
    T: From<RequestError> + From<RequestError<Fault>>,
{
}

fn main() {
    let _: Router = Router::new().on(who);
    each::<Fault>();
    each::<Generic<u8>>();
    each::<Own>();
    each::<Empty>();
    let _ = Rooms::<u8>::Empty;
}
