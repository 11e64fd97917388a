//! The frames of tarpc over TCP with Bincode, made with tarpc's own types: a length of four bytes,
//! then a call or its response. A server refuses a call whose number is that of a running call, so
//! the call has the number of the message.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use tarpc::tokio_serde::Serializer;
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{ClientMessage, Request, Response, context};

use super::{Kind, Role, Wire};
use crate::socket::Socket;

/// The service. Its messages are the calls and responses on the wire.
#[tarpc::service]
pub(crate) trait Echo {
    async fn echo(body: Vec<u8>) -> Vec<u8>;
}

/// Bincode writes small numbers in fewer bytes. From this number on, all have the same length.
const FIRST: u64 = 1 << 40;
/// The header of a response: the length of the frame, the number, the success and the method.
const HEADER: usize = 4 + 9 + 1 + 1;
/// The time limit of a call, counted from when the server reads it. It is never reached.
const DEADLINE: Duration = Duration::from_millis(3_600_500);

/// The wire of the service on tarpc, which only echoes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tarpc;

impl Wire for Tarpc {
    fn join(&self, _: &mut Socket, _: Role) -> io::Result<()> {
        Ok(())
    }

    fn message(&self, _: Kind, seq: u64, body: usize) -> Vec<u8> {
        let mut context = context::current();
        context.deadline = Instant::now() + DEADLINE;
        let message = EchoRequest::Echo { body: self.body(seq, body) };
        frame(&ClientMessage::Request(Request { context, id: FIRST + seq % FIRST, message }))
    }

    fn answer_len(&self, _: Kind, body: usize) -> usize {
        let message = Ok(EchoResponse::Echo(vec![0; body]));
        frame(&Response { request_id: FIRST, message }).len()
    }

    fn answer_body<'a>(&self, _: Kind, answer: &'a [u8]) -> &'a [u8] {
        // The length of the body comes last, in as few bytes as possible.
        let length = match answer[HEADER] {
            ..251 => 1,
            251 => 3,
            _ => 5,
        };
        &answer[HEADER + length..]
    }

    /// Each call is a task, and under load Tokio runs thousands of younger tasks before some older
    /// ones. A call with the number of one of these would be ignored.
    fn numbers(&self) -> usize {
        1 << 14
    }
}

fn frame<T: serde::Serialize>(message: &T) -> Vec<u8> {
    let bincode = pin!(Bincode::<(), _>::default());
    let payload = bincode.serialize(message).expect("it has a length");
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&payload);
    frame
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tarpc::tokio_serde::Deserializer;

    use super::*;

    fn read<T: for<'a> serde::Deserialize<'a>>(frame: &[u8]) -> T {
        let (length, payload) = frame.split_at(4);
        assert_eq!(length, (payload.len() as u32).to_be_bytes());
        let bincode = pin!(Bincode::<_, ()>::default());
        bincode.deserialize(&BytesMut::from(payload)).expect("a message")
    }

    #[test]
    fn tarpc_reads_our_calls() {
        for seq in [0, 31, u64::MAX] {
            let message = Tarpc.message(Kind::Echo, seq, 64);
            assert_eq!(message.len(), Tarpc.message(Kind::Echo, 5, 64).len());
            let ClientMessage::Request(request) = read::<ClientMessage<EchoRequest>>(&message)
            else {
                panic!("it is a call");
            };
            assert_eq!(request.id, FIRST + seq % FIRST);
            let EchoRequest::Echo { body } = request.message;
            assert_eq!(body, Tarpc.body(seq, 64));
        }
    }

    #[test]
    fn we_read_its_responses() {
        for len in [8, 64, 250, 251, 4096] {
            let body = Tarpc.body(7, len);
            let message = Ok(EchoResponse::Echo(body.clone()));
            let answer = frame(&Response { request_id: FIRST + 7, message });
            assert_eq!(answer.len(), Tarpc.answer_len(Kind::Echo, len));
            assert_eq!(Tarpc.answer_body(Kind::Echo, &answer), body);
        }
    }
}
