//! Fuzzing without a fuzzer: what the targets once were given, given to them again.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;

use crate::support::repository;

/// Gives the target all seeds and the corpus that bear its name.
#[track_caller]
fn replay(name: &str, target: fn(&[u8])) {
    let fuzz = repository().join("fuzz");
    for kind in ["seeds", "corpus"] {
        let dir = fuzz.join(kind).join(name);
        let mut files = 0;
        for file in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let passed = catch_unwind(|| target(&bytes));
            assert!(passed.is_ok(), "{} does not pass", path.display());
            files += 1;
        }
        assert!(files > 10, "{} has {files} files", dir.display());
    }
}

#[test]
fn r07_the_corpus_of_frame_passes() {
    replay("frame", targets::frame);
}

#[test]
fn r07_the_corpus_of_stream_passes() {
    replay("stream", targets::stream);
}

#[test]
fn r07_the_corpus_of_handshake_passes() {
    replay("handshake", targets::handshake);
}

#[test]
fn r07_the_corpus_of_typed_body_passes() {
    replay("typed_body", targets::typed_body);
}
