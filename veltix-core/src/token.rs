//! [`Token`], by which a client shows who it is.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

/// A secret by which a client shows who it is. No log, event or `Debug` output has its text; whoever
/// needs it says so by [`Token::expose`].
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// A token of this text.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The text itself, for whoever checks it. From a client it is anything at all.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is this secret. It takes as long wherever the two differ, so that nobody finds a
    /// secret out byte by byte; that its length can be found out is not prevented.
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
