//! [`ask`]: a question that only the server answers, and so shows that a node has all permissions.
//!
//! A message for an address without a subscriber is answered by the server, at the reply subject of the
//! publisher. The connection receives none of its own messages, so that its own address has no other
//! subscriber, and the server answers there too. The answer shows that the connection may publish, and that
//! the subscription of the reply subject exists. An error of the server is no proof: its event goes through a
//! channel that drops what finds no room.

use async_nats::{Client, PublishError};
use bytes::Bytes;
use veltix_core::cluster::NodeId;

use super::subjects::Subjects;

/// Asks the server for an answer at the address of this node, and for one at the subject of all nodes.
pub(super) async fn ask(
    client: &Client,
    subjects: &Subjects,
    me: NodeId,
    question: u64,
) -> Result<(), PublishError> {
    let nobody = subjects.to(me, me);
    let at_me = subjects.unreachable(me, me, question);
    client.publish_with_reply(nobody.clone(), at_me, Bytes::new()).await?;
    client.publish_with_reply(nobody, subjects.all(), Bytes::new()).await
}

/// Publishes nothing to all nodes, so that the server reports a missing permission. Other nodes drop it.
pub(super) async fn say_nothing(client: &Client, subjects: &Subjects) -> Result<(), PublishError> {
    client.publish(subjects.all(), Bytes::new()).await
}
