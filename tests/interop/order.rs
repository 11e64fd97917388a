//! Two thousand messages in order, in both directions, for either role.

use serde_json::{Value, json};
use veltix::{Message, Peer};

use super::lab::{COUNT, Ears};
use super::python::{Kind, Python};

const MESSAGES: usize = 2000;

/// Sends and checks the messages. `burst` is the command that makes the script send, which differs
/// between the roles.
pub(crate) async fn check(
    kind: Kind,
    python: &mut Python,
    burst: Value,
    peer: &Peer,
    ears: &mut Ears,
) {
    for first in (0..MESSAGES).step_by(kind.burst()) {
        let mut burst = burst.clone();
        burst["do"] = json!("burst");
        burst["code"] = json!(COUNT.code());
        burst["count"] = json!(kind.burst());
        burst["from"] = json!(first);
        python.tell(burst).await;
        for n in first..first + kind.burst() {
            let message = ears.next(COUNT).await;
            assert_eq!(message.json::<Value>().unwrap(), json!({ "n": n }));
        }
    }

    python.tell(json!({ "do": "collect", "code": COUNT.code() })).await;
    for n in 0..MESSAGES {
        peer.send(&Message::from_json(COUNT, &json!({ "n": n })).unwrap()).await.unwrap();
    }
    let collected =
        json!({ "do": "collected", "code": COUNT.code(), "count": MESSAGES, "timeout": 20 });
    let collected = python.tell(collected).await;
    assert_eq!(collected["in_order"], true, "{collected}");
    let (count, last) = (json!(MESSAGES), json!(MESSAGES - 1));
    assert_eq!((&collected["count"], &collected["last"]), (&count, &last));
}
