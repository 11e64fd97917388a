//! The answers of this node to questions of others.

use std::error::Error;

use veltix_core::cluster::{AnswerContent, Change, Question};
use veltix_core::limits::CLUSTER_REASON_LEN;
use veltix_core::{TagError, Target};
use veltix_tokio::Hub;

/// Returns the answer of this node.
pub(super) fn answer(hub: &Hub, question: Question) -> AnswerContent {
    match question {
        Question::Count(target) => count(hub.count(&target)),
        Question::List { target, tags, limit } => {
            match hub.members(&target, &tags, limit as usize) {
                Ok((members, truncated)) => AnswerContent::Members { members, truncated },
                Err(error) => refused(&error),
            }
        }
        Question::Change { target, change } => count(change_here(hub, &target, change)),
        _ => AnswerContent::Unsupported,
    }
}

/// Changes the peers of this node that a target matches, and returns the number of the changed ones.
pub(crate) fn change_here(hub: &Hub, target: &Target, change: Change) -> Result<usize, TagError> {
    match change {
        Change::Tag(tag) => hub.tag(target, tag),
        Change::Untag(name) => Ok(hub.untag(target, &name)?),
        Change::Join(name, value) => hub.join(target, &name, value),
        Change::Leave(name, value) => hub.leave(target, &name, value),
        Change::Close(reason) => Ok(hub.close(target, cut(&reason))?),
    }
}

/// Returns the text up to its limit. Each peer that is closed has a copy.
fn cut(reason: &str) -> &str {
    let end = (0..=CLUSTER_REASON_LEN.min(reason.len())).rev();
    end.into_iter().find_map(|end| reason.get(..end)).unwrap_or_default()
}

fn count(counted: Result<usize, impl Error>) -> AnswerContent {
    match counted {
        Ok(count) => AnswerContent::Count(count as u64),
        Err(error) => refused(&error),
    }
}

fn refused(error: &impl Error) -> AnswerContent {
    AnswerContent::Refused(error.to_string().into())
}
