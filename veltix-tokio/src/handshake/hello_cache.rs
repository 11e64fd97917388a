//! What peers say of themselves in the handshake, kept once for all who say the same.

use std::collections::VecDeque;
use std::sync::Arc;

use veltix_core::{Fingerprints, HandshakeError, Hello, Token};

use crate::sync::Mutex;

/// Different hellos that are remembered: one for each version of a package that is about. Peers that
/// say more different things than these keep their own.
const REMEMBERED: usize = 8;

/// The longest JSON that is remembered; that of a hello without a large `meta` is 50 bytes or so.
const REMEMBERED_BYTES: usize = 1024;

/// The hellos that came last. Most peers say the same, which is then parsed once; and parsed, it
/// takes more memory than all else that an idle connection's task holds.
#[derive(Debug, Default)]
pub(crate) struct HelloCache(Mutex<VecDeque<Known>>);

/// A hello, and the JSON that said so: empty, as no message is, where that had a token in it.
#[derive(Debug)]
struct Known {
    json: Box<[u8]>,
    hello: Arc<Hello>,
}

impl HelloCache {
    /// The hello that this JSON says, shared with whoever said the same, and the token in it, which
    /// is not remembered.
    /// Its types are compared with ours, which are the same each time.
    pub(crate) fn read(
        &self,
        json: &[u8],
        ours: Option<&Fingerprints>,
    ) -> Result<(Arc<Hello>, Option<Token>), HandshakeError> {
        if let Some(same) = self.0.lock().iter().find(|known| *known.json == *json) {
            return Ok((Arc::clone(&same.hello), None));
        }
        let (hello, token) = Hello::parse_with_token(json, ours)?;
        let mut known = self.0.lock();
        // What this crate does not know of a hello may differ from peer to peer.
        let same = known.iter().find(|known| *known.hello == hello);
        let is_new = same.is_none();
        let hello = same.map_or_else(|| Arc::new(hello), |same| Arc::clone(&same.hello));
        let json = match &token {
            // What is left without the token is the same for most, and remembered once.
            Some(_) => is_new.then(Box::default),
            None => (json.len() <= REMEMBERED_BYTES).then(|| json.into()),
        };
        if let Some(json) = json {
            let oldest = if known.len() < REMEMBERED { None } else { known.pop_front() };
            known.push_back(Known { json, hello: Arc::clone(&hello) });
            drop(known);
            drop(oldest);
        }
        Ok((hello, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cache: &HelloCache, version: usize, rest: &str) -> Arc<Hello> {
        let json = format!(r#"{{"v": "{version}", "pv": "1.0", "meta": {{}}{rest}}}"#);
        cache.read(json.as_bytes(), None).expect("it is right").0
    }

    #[test]
    fn the_same_is_kept_once_and_no_more_than_a_few_are_remembered() {
        let cache = HelloCache::default();
        let first = read(&cache, 0, "");
        assert!(Arc::ptr_eq(&first, &read(&cache, 0, "")));
        assert_eq!(cache.0.lock().len(), 1);
        assert!(Arc::ptr_eq(&first, &read(&cache, 0, r#", "x": 1"#)), "the same in other words");
        for version in 1..=REMEMBERED {
            assert_eq!(read(&cache, version, "").version(), version.to_string());
        }
        assert_eq!(Arc::strong_count(&first), 1, "it is forgotten");
        assert_eq!(cache.0.lock().len(), REMEMBERED);
    }

    #[test]
    fn neither_a_bad_hello_nor_a_long_one_is_remembered() {
        let cache = HelloCache::default();
        assert!(cache.read(b"{}", None).is_err());
        read(&cache, 0, &" ".repeat(REMEMBERED_BYTES));
        assert!(cache.0.lock().is_empty());
    }

    #[test]
    fn no_token_is_remembered() {
        let cache = HelloCache::default();
        let say = |token: &str| {
            let json = format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"token": "{token}"}}}}}}"#);
            cache.read(json.as_bytes(), None).expect("it is right")
        };
        let (first, token) = say("swordfish");
        assert!(token.is_some_and(|token| token.is("swordfish")));
        for _ in 0..2 {
            let (second, token) = say("marlin");
            assert!(token.is_some_and(|token| token.is("marlin")), "each time it is its own");
            assert!(Arc::ptr_eq(&first, &second), "the rest is shared");
        }
        let known = cache.0.lock();
        assert_eq!(known.len(), 1);
        assert!(known.iter().all(|known| known.json.is_empty()));
    }
}
