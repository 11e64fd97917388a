//! Replays the inputs that the fuzz targets were given before, without a fuzzer.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;

use crate::support::repository;

/// Gives a target each of its seeds and each input of its corpus. Both files have the format of
/// `fuzz/corpus.py`.
#[track_caller]
fn replay(name: &str, target: fn(&[u8])) {
    for kind in ["seeds", "corpus"] {
        let path = repository().join("fuzz").join(kind).join(name).with_extension("hex");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 10, "{} has {} inputs", path.display(), lines.len());
        let is_packed = lines.is_sorted_by(|line, next| line < next);
        assert!(is_packed, "{} is not as fuzz/corpus.py packs it", path.display());
        for line in lines {
            let digits = line.split_once(' ').map_or(line, |(_name, digits)| digits);
            let bytes = bytes_of(digits);
            let passed = catch_unwind(|| target(&bytes));
            assert!(passed.is_ok(), "{} does not pass: {line}", path.display());
        }
    }
}

/// Reads an input; `-` stands for one without bytes.
fn bytes_of(digits: &str) -> Vec<u8> {
    let digits = digits.strip_prefix('-').unwrap_or(digits).as_bytes();
    assert!(digits.len().is_multiple_of(2), "half a byte is left over");
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[cfg(feature = "cluster")]
#[test]
fn r07_the_corpus_of_cluster_batch_passes() {
    replay("cluster_batch", targets::cluster_batch);
}

#[cfg(feature = "cluster")]
#[test]
fn r07_the_corpus_of_cluster_node_passes() {
    replay("cluster_node", targets::cluster_node);
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
fn r07_the_corpus_of_proxy_head_passes() {
    replay("proxy_head", targets::proxy_head);
}

#[test]
fn r07_the_corpus_of_query_passes() {
    replay("query", targets::query);
}

#[test]
fn r07_the_corpus_of_typed_body_passes() {
    replay("typed_body", targets::typed_body);
}
