//! The outboxes that a poll of a connection's task flushes, and the bytes that its handlers
//! publish.
//!
//! The first frame in an idle outbox needs a flush. Within a poll of a connection's task the
//! [scope](FlushScope) notes the outbox and flushes it once, at the end, so that all frames that
//! were queued meanwhile leave in one write. Outside a poll (in a spawned task, a blocking handler,
//! a foreign thread) the outbox's own task is woken. The exception is the only pending
//! call of a connection: its caller writes the frame itself.
//!
//! No outbox is forgotten, however a poll ends: the scope and the list are guards that flush or
//! wake on drop.

mod flush_list;
mod handover;
mod publish;
mod scope;
#[cfg(test)]
mod tests;

pub(crate) use flush_list::FlushList;
pub(crate) use handover::{Handover, SharedState};
pub(crate) use publish::{PublishLimit, Published, PublishedApart, published};
#[cfg(veltix_planted_bugs)]
pub(crate) use scope::forget_touched;
pub(crate) use scope::{
    FlushScope, ThreadScope, enter_future, enter_plain, is_in_plain_handler, is_inside, is_sharing,
    is_within, keep_shared, leave_future, limited, mark_heavy, published_apart, schedule,
    schedule_alone, schedule_published, take_shared,
};
