//! Payloads of protocols that have frames but no kinds of messages: one byte for the kind, then the
//! body. Our servers for these protocols read it too.

use super::Kind;

/// The request in the first byte of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A message that every protocol has.
    Message(Kind),
    /// The server gives the tag to the sender and sends the message back.
    Join,
}

impl Request {
    const ALL: [Self; 5] = [
        Self::Message(Kind::Echo),
        Self::Message(Kind::Sink),
        Self::Message(Kind::Publish),
        Self::Message(Kind::PublishTag),
        Self::Join,
    ];

    /// Returns the request of a payload, or `None` if it does not begin with one of our bytes.
    pub(crate) fn of(payload: &[u8]) -> Option<Self> {
        Self::ALL.get(usize::from(*payload.first()?)).copied()
    }

    /// Returns the payload of this request.
    pub(crate) fn payload(self, body: &[u8]) -> Vec<u8> {
        let number = Self::ALL.iter().position(|known| *known == self).unwrap_or(Self::ALL.len());
        let mut payload = Vec::with_capacity(1 + body.len());
        payload.push(number as u8);
        payload.extend_from_slice(body);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_what_it_asks_for_and_nothing_else_does() {
        for request in Request::ALL {
            let payload = request.payload(b"body");
            assert_eq!(Request::of(&payload), Some(request));
            assert_eq!(&payload[1..], b"body");
        }
        assert_eq!(Request::of(&[]), None);
        assert_eq!(Request::of(&[5]), None);
    }
}
