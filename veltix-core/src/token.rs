//! [`Token`]: the secret that identifies a client.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

/// A token is a secret that a client shows to identify itself. No log line, event or `Debug` output
/// contains its text. Only [`Token::expose`] returns it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Creates a token with this text.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// Returns the text, so that it can be verified. A client may send any text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the token equals `secret`. The comparison takes the same time wherever the
    /// two differ, so that an attacker cannot guess a secret byte by byte. It does not hide the
    /// length of the secret.
    #[must_use]
    pub fn is(&self, secret: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), secret.as_bytes());
        let pairs = ours.iter().zip(theirs);
        let differing = pairs.fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
        ours.len() == theirs.len() && differing == 0
    }
}

impl From<&str> for Token {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl From<String> for Token {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_itself_alone_and_tells_nobody() {
        let token = Token::from("secret");
        assert!(token.is("secret"));
        for other in ["", "secre", "secrets", "Secret", "secreT"] {
            assert!(!token.is(other), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
