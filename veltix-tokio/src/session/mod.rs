//! What the handles and the task of one connection share.

mod attached;
mod calls;
mod receipts;

pub(crate) use attached::Attached;
pub(crate) use calls::{
    Asker, Begun, CallFailed, CallId, Calls, Expected, Over, Reception, SurveyAnswer,
};
pub(crate) use receipts::Receipts;
