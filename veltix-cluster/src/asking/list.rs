//! [`List`]: the peers of all nodes, with their tags.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use veltix_core::cluster::{AnswerContent, NodeId, Question};
use veltix_core::limits::{CLUSTER_ASK_TIMEOUT, CLUSTER_LIST};
use veltix_core::{Target, TargetError};

use super::{add_names, check_names};
use crate::cluster::Cluster;
use crate::gathered::{Gathered, Missing};
use crate::member::Member;

/// A list that is being made. Created by [`Cluster::list`].
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before it is awaited"]
pub struct List {
    cluster: Cluster,
    target: Target,
    tags: Vec<Arc<str>>,
    limit: usize,
    timeout: Duration,
}

impl Cluster {
    /// Lists the peers of all nodes that a target matches, under the conditions of [`count`](Self::count).
    ///
    /// ```no_run
    /// # async fn f(cluster: veltix::cluster::Cluster) -> Result<(), veltix::TargetError> {
    /// # use veltix::tag;
    /// let members = cluster.list(tag("room").is("lobby")).with_tags(["user"]).await?;
    /// for member in &members.value {
    ///     println!("{}: {:?}", member.peer, member.tag("user"));
    /// }
    /// if !members.is_complete() {
    ///     println!("the list is incomplete");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn list(&self, target: impl Into<Target>) -> List {
        let (cluster, target, tags) = (self.clone(), target.into(), Vec::new());
        List { cluster, target, tags, limit: CLUSTER_LIST, timeout: CLUSTER_ASK_TIMEOUT }
    }
}

impl List {
    /// Adds tags of these names to each peer, at most 1 024. Default: none.
    pub fn with_tags(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        add_names(&mut self.tags, names);
        self
    }

    /// Limits the number of peers. A node whose peers are not all in the list is [`Missing::Truncated`], and so
    /// is one whose answer would exceed 8 MiB.
    /// Default and maximum: 65 536.
    pub fn limit(mut self, peers: usize) -> Self {
        self.limit = peers.min(CLUSTER_LIST);
        self
    }

    /// Limits the time for which the call waits for other nodes. Default: 2 s.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl IntoFuture for List {
    type Output = Result<Gathered<Vec<Member>>, TargetError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Asks all nodes.
    ///
    /// # Errors
    /// [`TargetError`] if the target or the list of names exceeds a limit.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { cluster, target, tags, limit, timeout } = self;
            check_names(&tags)?;
            let elsewhere = cluster.elsewhere(&target)?;
            let mut list = cluster.gathered(Vec::new(), Vec::new());
            let here = cluster.hub().members(&target, &tags, limit)?;
            add(&mut list, limit, cluster.node(), here);
            let question = |target| Question::List { target, tags, limit: limit as u32 };
            let answers = cluster.ask(elsewhere, question, timeout).await;
            list.missing.extend(answers.missing);
            for (node, answer) in answers.answers {
                match answer {
                    AnswerContent::Members { members, truncated } => {
                        add(&mut list, limit, node, (members, truncated));
                    }
                    // The node has understood another question.
                    _ => list.missing.push((node, Missing::Unsupported)),
                }
            }
            Ok(list)
        })
    }
}

/// Adds the peers of a node, as far as there is room.
fn add(
    list: &mut Gathered<Vec<Member>>,
    limit: usize,
    node: NodeId,
    (members, truncated): (Vec<veltix_core::Member>, bool),
) {
    let room = limit - list.value.len();
    if truncated || members.len() > room {
        list.missing.push((node, Missing::Truncated));
    }
    list.value.extend(members.into_iter().take(room).map(|member| Member::of(node, member)));
}
