//! Both sides of the example `file_transfer`: over links that are cut, and with senders that do not
//! keep to what was agreed.

#[path = "../../../examples/file_transfer/src/checksum.rs"]
mod checksum;
#[path = "../../../examples/file_transfer/src/protocol.rs"]
mod protocol;
#[path = "../../../examples/file_transfer/src/receiver.rs"]
mod receiver;
#[path = "../../../examples/file_transfer/src/sender.rs"]
mod sender;
#[path = "../../../examples/file_transfer/src/store.rs"]
mod store;
#[path = "../../../examples/file_transfer/src/upload.rs"]
mod upload;

mod cuts;
mod offers;

use std::fs;
use std::path::PathBuf;

use veltix::testing::TestServer;

use crate::support::TempDir;
use protocol::{CHUNK, Chunk, Offer};
use store::Store;

/// A directory for the sender's file and one for the receiver's.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(TempDir::new())
    }

    /// Writes a file of the sender, with `length` bytes, all chunks of which differ.
    fn file(&self, name: &str, length: usize) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes(length)).expect("the disk has room");
        path
    }

    fn store(&self) -> Store {
        Store::open(self.inbox()).expect("a new directory")
    }

    fn inbox(&self) -> PathBuf {
        self.0.path().join("inbox")
    }

    /// The files of the receiver, sorted.
    fn received(&self) -> Vec<String> {
        let entries = fs::read_dir(self.inbox()).expect("it was made");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn assert_arrived(&self, name: &str, length: usize) {
        assert_eq!(self.received(), [name]);
        let arrived = fs::read(self.inbox().join(name)).expect("it is there");
        assert!(arrived == bytes(length), "it is not what was sent");
    }

    async fn server(&self) -> TestServer {
        TestServer::start(receiver::router(self.store())).await
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length.div_ceil(4)).flat_map(|n| (n as u32).to_be_bytes()).take(length).collect()
}

/// The offer of a file with these bytes.
fn offer(name: &str, bytes: &[u8]) -> Offer {
    let disk = TempDir::new();
    let path = disk.path().join("offered");
    fs::write(&path, bytes).expect("the disk has room");
    let sha256 = checksum::sha256(&path).expect("it was just written");
    Offer { name: name.to_owned(), size: bytes.len() as u64, sha256 }
}

fn chunk(offset: u64, bytes: &[u8]) -> Chunk {
    let mut body = Chunk::body_at(offset);
    body.extend(bytes);
    Chunk(body.into())
}
