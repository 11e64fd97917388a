//! [`SurveyAnswers`]: the answers to a survey on their way; and the failures of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use veltix_core::Message;
use veltix_core::limits::SURVEY_BYTES;

/// The reason why a call ended without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallFailed {
    Timeout,
    /// The timeout passed, or the connection ended, while a call of the peer waited for this side's
    /// `on_connect`.
    BothConnecting,
    ConnectionLost,
    /// More than this number of bytes waited on this side.
    Congested {
        limit: usize,
    },
}

/// An answer for a survey, with the index of its peer there.
pub(crate) type SurveyAnswer = (usize, Result<Message, CallFailed>);

/// The sending half of the answers to a survey, and the bytes of those that were not read.
#[derive(Debug)]
pub(crate) struct SurveyAnswers {
    sender: mpsc::UnboundedSender<SurveyAnswer>,
    unread: AtomicUsize,
}

impl SurveyAnswers {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<SurveyAnswer>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { sender, unread: AtomicUsize::new(0) }), receiver)
    }

    /// Passes an answer on. One that finds no room fails.
    pub(super) fn send(&self, index: usize, mut answer: Result<Message, CallFailed>) {
        let bytes = length(&answer);
        let before = self.unread.fetch_add(bytes, Ordering::AcqRel);
        if before > 0 && before + bytes > SURVEY_BYTES {
            self.unread.fetch_sub(bytes, Ordering::AcqRel);
            answer = Err(CallFailed::Congested { limit: SURVEY_BYTES });
        }
        // The survey may have ended.
        let _ = self.sender.send((index, answer));
    }

    /// Notes that an answer was read.
    pub(crate) fn note_read(&self, answer: &Result<Message, CallFailed>) {
        self.unread.fetch_sub(length(answer), Ordering::AcqRel);
    }
}

/// Returns the length of an answer's body.
fn length(answer: &Result<Message, CallFailed>) -> usize {
    answer.as_ref().map_or(0, |answer| answer.body().len())
}

#[cfg(test)]
mod tests {
    use veltix_core::MessageType;

    use super::*;

    fn answer(bytes: usize) -> Result<Message, CallFailed> {
        Ok(Message::new(MessageType::new(200, "answer", ""), vec![0; bytes]))
    }

    #[test]
    fn unread_answers_are_bounded_in_bytes_and_one_always_fits() {
        let (answers, mut receiver) = SurveyAnswers::new();
        let quarter = SURVEY_BYTES / 4;
        for index in 0..6 {
            answers.send(index, answer(quarter));
        }
        let mut failed = Vec::new();
        while let Ok((index, answer)) = receiver.try_recv() {
            if let Err(CallFailed::Congested { limit: SURVEY_BYTES }) = answer {
                failed.push(index);
            }
            answers.note_read(&answer);
        }
        assert_eq!(failed, [4, 5], "each answer is told of");
        answers.send(6, answer(SURVEY_BYTES + 1));
        assert!(receiver.try_recv().expect("it is there").1.is_ok());
    }
}
