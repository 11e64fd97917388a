//! [`HelloCache`]: the hellos of peers, with one copy for all peers that send the same, and the hello of
//! this side.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use veltix_core::{Fingerprints, HandshakeError, Hello, Token};

use crate::sync::Mutex;

/// The number of different hellos that are cached: one for each package version in use. If peers
/// send more different hellos, each keeps its own copy.
const REMEMBERED: usize = 8;

/// The length of the longest cached JSON. A hello without a large `meta` has about 50 bytes.
const REMEMBERED_BYTES: usize = 1024;

/// The cache of the latest hellos. Most peers send the same hello, which is then parsed once. A
/// parsed hello takes more memory than all other state of an idle connection's task.
#[derive(Debug)]
pub(crate) struct HelloCache {
    /// The hello of this side, the same for every peer.
    ours: Bytes,
    known: Mutex<VecDeque<Known>>,
}

/// A hello and its JSON. The JSON is empty, as no message is, if it contained a token.
#[derive(Debug)]
struct Known {
    json: Box<[u8]>,
    hello: Arc<Hello>,
}

impl HelloCache {
    /// Creates an empty cache for a server with this hello.
    pub(crate) fn new(ours: Bytes) -> Self {
        Self { ours, known: Mutex::default() }
    }

    /// Returns the hello of this side.
    pub(crate) fn ours(&self) -> Bytes {
        self.ours.clone()
    }

    /// Returns the hello in this JSON, shared with all peers that sent the same, and the token in
    /// it, which is not cached. The hello's types are compared with `ours`, which are the same at
    /// each call.
    pub(crate) fn read(
        &self,
        json: &[u8],
        ours: Option<&Fingerprints>,
    ) -> Result<(Arc<Hello>, Option<Token>), HandshakeError> {
        if let Some(same) = self.known.lock().iter().find(|known| *known.json == *json) {
            return Ok((Arc::clone(&same.hello), None));
        }
        let (hello, token) = Hello::parse_with_token(json, ours)?;
        let mut known = self.known.lock();
        // Unknown parts of the JSON may differ from peer to peer, while the parsed hello is the
        // same.
        let same = known.iter().find(|known| *known.hello == hello);
        let is_new = same.is_none();
        let hello = same.map_or_else(|| Arc::new(hello), |same| Arc::clone(&same.hello));
        let json = match &token {
            // Without the token, the hello is the same for most peers, and cached once.
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
        let cache = HelloCache::new(Bytes::new());
        let first = read(&cache, 0, "");
        assert!(Arc::ptr_eq(&first, &read(&cache, 0, "")));
        assert_eq!(cache.known.lock().len(), 1);
        assert!(Arc::ptr_eq(&first, &read(&cache, 0, r#", "x": 1"#)), "the same in other words");
        for version in 1..=REMEMBERED {
            assert_eq!(read(&cache, version, "").version(), version.to_string());
        }
        assert_eq!(Arc::strong_count(&first), 1, "it is forgotten");
        assert_eq!(cache.known.lock().len(), REMEMBERED);
    }

    #[test]
    fn neither_a_bad_hello_nor_a_long_one_is_remembered() {
        let cache = HelloCache::new(Bytes::new());
        assert!(cache.read(b"{}", None).is_err());
        read(&cache, 0, &" ".repeat(REMEMBERED_BYTES));
        assert!(cache.known.lock().is_empty());
    }

    #[test]
    fn no_token_is_remembered() {
        let cache = HelloCache::new(Bytes::new());
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
        let known = cache.known.lock();
        assert_eq!(known.len(), 1);
        assert!(known.iter().all(|known| known.json.is_empty()));
    }
}
