//! [`Session`]: the state that the handles and the task of one connection share. [`Services`]: the
//! state that the sessions of one side share.

mod answers;
mod attached;
mod calls;
mod end;
mod holders;
#[cfg(feature = "cluster")]
mod interest_signal;
mod receipts;
mod runtime;
mod services;
mod tag_table;
mod timeouts;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio::time::Instant;
use veltix_core::limits::HEADER_LEN;
use veltix_core::{EncodeError, Hello, IdSpace, Message, PeerId, ToMessage};

pub(crate) use answers::{CallFailed, SurveyAnswer, SurveyAnswers};
pub(crate) use attached::Attached;
use calls::Expired;
pub(crate) use calls::{Begun, CallId, Calls, CompletedCall, Expected, Reception, ReplySink};
pub(crate) use end::End;
pub(crate) use holders::{Holder, HolderKey, Holders};
#[cfg(feature = "cluster")]
pub(crate) use interest_signal::InterestSignal;
pub(crate) use receipts::Receipts;
pub(crate) use runtime::Runtime;
pub(crate) use services::Services;
pub(crate) use tag_table::TagTable;
pub(crate) use timeouts::set_alarm;

use crate::close::CloseReason;
use crate::config::Limits;
use crate::memory::Holding;
use crate::outbox::Outbox;
use crate::sync::Mutex;
use crate::transport::{Link, StreamWriter};

/// The shared state of one connection. Its handles and its task hold it. It holds neither of them.
pub(crate) struct Session {
    id: PeerId,
    /// The time at which the handshake succeeded.
    opened: Instant,
    link: Link,
    hello: Arc<Hello>,
    services: Arc<Services>,
    outbox: Outbox,
    calls: Mutex<Calls>,
    /// Calls have ended late, and the task has not told of them yet.
    has_late_calls: AtomicBool,
    /// The id space of `calls`, readable without the lock.
    ids: IdSpace,
    receipts: Receipts,
    /// Memory that holds received bytes and messages.
    reading: Holding,
    end: End,
    attached: Attached,
    /// The worker threads that the peer may use at the same time. Created at the first use.
    threads: OnceLock<Arc<Semaphore>>,
}

impl Session {
    pub(crate) fn new(
        id: PeerId,
        link: Link,
        hello: Arc<Hello>,
        services: &Arc<Services>,
        writer: Box<dyn StreamWriter>,
        ids: IdSpace,
    ) -> Arc<Self> {
        if let Some(limit) = hello.max_message_size() {
            services.note_peer_limit(limit);
        }
        let (drops, memory) = (Arc::clone(services.drops()), Arc::clone(services.memory()));
        Arc::new(Self {
            id,
            opened: Instant::now(),
            link,
            hello,
            outbox: Outbox::new(writer, services.limits().outbox, drops, Arc::clone(&memory)),
            services: Arc::clone(services),
            calls: Mutex::new(Calls::new(ids)),
            has_late_calls: AtomicBool::new(false),
            ids,
            receipts: Receipts::new(services.role()),
            reading: Holding::new(memory),
            end: End::default(),
            attached: Attached::default(),
            threads: OnceLock::new(),
        })
    }

    pub(crate) const fn id(&self) -> PeerId {
        self.id
    }

    /// Returns the time at which the handshake succeeded.
    pub(crate) const fn opened(&self) -> Instant {
        self.opened
    }

    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    pub(crate) const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.services.limits()
    }

    pub(crate) const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(crate) const fn calls(&self) -> &Mutex<Calls> {
        &self.calls
    }

    pub(crate) const fn ids(&self) -> IdSpace {
        self.ids
    }

    pub(crate) const fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Returns the memory that holds received bytes and messages. Only the connection's task
    /// changes it.
    pub(crate) const fn reading(&self) -> &Holding {
        &self.reading
    }

    /// Returns the bytes of counted memory that the connection holds.
    pub(crate) fn held(&self) -> usize {
        self.reading.bytes() + self.outbox.held()
    }

    pub(crate) const fn attached(&self) -> &Attached {
        &self.attached
    }

    /// Returns the peer's permits for the threads of blocking handlers, in the order of request.
    pub(crate) fn threads(&self) -> &Arc<Semaphore> {
        let all = || Arc::new(Semaphore::new(self.services.workers().per_peer()));
        self.threads.get_or_init(all)
    }

    /// Encodes a message within the size limits of this side.
    pub(crate) fn encode(
        &self,
        message: &(impl ToMessage + ?Sized),
    ) -> Result<Message, EncodeError> {
        let message = message.to_message_within(self.limits().max_typed_body)?;
        self.check_size(message.body().len())?;
        Ok(message)
    }

    /// Refuses a body whose frame one of the two sides does not accept.
    #[inline]
    pub(crate) fn check_size(&self, body: usize) -> Result<(), EncodeError> {
        if self.services.is_small(body) { Ok(()) } else { self.check_large(body) }
    }

    #[cold]
    fn check_large(&self, body: usize) -> Result<(), EncodeError> {
        check_size(body, self.limits().max_message_size)?;
        let size = HEADER_LEN + body;
        match self.hello.max_message_size() {
            Some(limit) if size > limit => Err(EncodeError::OverPeerLimit { size, limit }),
            _ => Ok(()),
        }
    }

    /// Refuses the body of a reply like [`check_size`](Session::check_size). `max_typed_body` applies too
    /// if the reply `is_typed` and has no limit of its own.
    #[inline]
    pub(crate) fn check_reply(&self, body: usize, is_typed: bool) -> Result<(), EncodeError> {
        if self.services.is_small(body) { Ok(()) } else { self.check_large_reply(body, is_typed) }
    }

    #[cold]
    fn check_large_reply(&self, size: usize, is_typed: bool) -> Result<(), EncodeError> {
        let limit = self.limits().max_typed_body;
        if is_typed && size > limit {
            return Err(EncodeError::BodyTooLarge { size, limit });
        }
        self.check_large(size)
    }

    pub(crate) const fn end_state(&self) -> &End {
        &self.end
    }

    /// Asks the task to end the connection. The first reason counts.
    pub(crate) fn end(&self, reason: CloseReason) {
        self.end.ask(reason);
        self.outbox.wake_owner();
    }

    /// Asks the task to end the connection, and not to wait for handlers.
    pub(crate) fn cancel(&self, reason: CloseReason) {
        self.end.cancel();
        self.end(reason);
    }

    /// Ends the calls whose deadline has passed, and sets the alarm for the next deadline.
    pub(crate) fn expire_calls(self: &Arc<Self>) {
        let now = self.services.runtime().now();
        let Expired { calls, next, rung } = self.calls.lock().expire(now);
        drop(rung);
        if !calls.is_empty() {
            // The task tells of them.
            self.has_late_calls.store(true, Ordering::Release);
            self.outbox.wake_owner();
        }
        calls.into_iter().for_each(CompletedCall::complete);
        if let Some(next) = next {
            set_alarm(self, next);
        }
    }

    /// Takes the codes of the late calls since the last look.
    pub(crate) fn take_late_calls(&self) -> Vec<u16> {
        let has_some = self.has_late_calls.load(Ordering::Acquire)
            && self.has_late_calls.swap(false, Ordering::AcqRel);
        if has_some { self.calls.lock().take_late() } else { Vec::new() }
    }

    /// Fails every call, now and from now on: no answer will arrive.
    pub(crate) fn end_calls(&self) {
        let Expired { calls, rung, .. } = self.calls.lock().end();
        drop(rung);
        calls.into_iter().for_each(CompletedCall::complete);
    }

    /// Drops the queue of a peer that is leaving.
    pub(crate) fn give_up_queue(&self) {
        let reason = self.end.asked().unwrap_or(CloseReason::Evicted);
        self.outbox.close(reason.drop_reason());
        self.outbox.wake_owner();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("addr", &self.link.addr)
            .finish_non_exhaustive()
    }
}

/// Refuses a message whose frame exceeds the limit.
pub(crate) fn within(message: Message, limit: usize) -> Result<Message, EncodeError> {
    check_size(message.body().len(), limit)?;
    Ok(message)
}

/// Refuses a body whose frame exceeds the limit.
pub(crate) const fn check_size(body: usize, limit: usize) -> Result<(), EncodeError> {
    let size = HEADER_LEN + body;
    if size > limit { Err(EncodeError::TooLarge { size, limit }) } else { Ok(()) }
}
