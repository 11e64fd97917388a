//! What peers say of themselves in the handshake, kept once for all who say the same.

use std::collections::VecDeque;
use std::sync::Arc;

use veltix_core::Hello;

use crate::sync::Mutex;

/// Different hellos that are remembered: one for each version of a package that is about. Peers that
/// say more different things than these keep their own.
const REMEMBERED: usize = 8;

/// The hellos that came last. Parsed, one takes more memory than all else that an idle connection's
/// task holds, and most peers say the same.
#[derive(Debug, Default)]
pub(crate) struct Hellos(Mutex<VecDeque<Arc<Hello>>>);

impl Hellos {
    /// The hello, shared with whoever said the same.
    pub(crate) fn share(&self, hello: Hello) -> Arc<Hello> {
        let mut known = self.0.lock();
        if let Some(same) = known.iter().find(|it| ***it == hello) {
            return Arc::clone(same);
        }
        let oldest = if known.len() < REMEMBERED { None } else { known.pop_front() };
        let hello = Arc::new(hello);
        known.push_back(Arc::clone(&hello));
        drop(known);
        drop(oldest);
        hello
    }
}

#[cfg(test)]
mod tests {
    use veltix_core::ServerHandshake;

    use super::*;

    fn hello(version: usize) -> Hello {
        let json = format!(r#"{{"v": "{version}", "pv": "1.0", "meta": {{}}}}"#);
        let mut bytes = bytes::BytesMut::from(&(json.len() as u16).to_be_bytes()[..]);
        bytes.extend_from_slice(json.as_bytes());
        ServerHandshake::new().receive(&mut bytes).expect("it is right").expect("it is whole")
    }

    #[test]
    fn the_same_is_kept_once_and_no_more_than_a_few_are_remembered() {
        let hellos = Hellos::default();
        let first = hellos.share(hello(0));
        assert!(Arc::ptr_eq(&first, &hellos.share(hello(0))));
        for version in 1..=REMEMBERED {
            assert_eq!(hellos.share(hello(version)).version(), version.to_string());
        }
        assert_eq!(Arc::strong_count(&first), 1, "it is forgotten");
        assert_eq!(hellos.0.lock().len(), REMEMBERED);
    }
}
