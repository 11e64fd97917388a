//! [`Store`]: the directory of the received files.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::checksum::{is_sha256, sha256};
use super::protocol::{Offer, Refused};
use super::upload::Upload;

/// The largest accepted file, so that an offer cannot fill the disk.
const MAX_SIZE: u64 = 64 << 30;

/// The longest name in bytes. The name of an unfinished file is longer, and still within the 255 bytes of the
/// usual file systems.
const MAX_NAME: usize = 180;

/// The store of received files. A clone is the same store.
#[derive(Clone)]
pub(crate) struct Store(Arc<Shared>);

struct Shared {
    directory: PathBuf,
    /// Unfinished files by their file name. The peers that send them own them.
    uploads: Mutex<HashMap<String, Weak<Mutex<Upload>>>>,
}

/// An unfinished file, which a peer and its successor after a cut may hold at the same time.
#[derive(Clone)]
pub(crate) struct SharedUpload(Arc<Mutex<Upload>>);

impl Store {
    /// Opens a store in this directory, and creates the directory if it does not exist.
    pub(crate) fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(Self(Arc::new(Shared { directory, uploads: Mutex::default() })))
    }

    /// Whether this file has arrived already. Another file of the same name is never replaced.
    pub(crate) fn has(&self, offer: &Offer) -> Result<bool, Refused> {
        check(offer)?;
        let path = self.0.directory.join(&offer.name);
        let Ok(metadata) = fs::symlink_metadata(&path) else { return Ok(false) };
        let is_it =
            metadata.is_file() && metadata.len() == offer.size && sha256(&path)? == offer.sha256;
        if is_it { Ok(true) } else { Err(name_is_taken()) }
    }

    /// Returns the unfinished file of an offer: new, from an earlier connection, or in transfer by another
    /// peer.
    pub(crate) fn upload(&self, offer: Offer) -> Result<SharedUpload, Refused> {
        check(&offer)?;
        let part = format!(".{}.{}.part", offer.name, offer.sha256);
        let mut uploads = self.uploads();
        uploads.retain(|_, upload| upload.strong_count() > 0);
        if let Some(upload) = uploads.get(&part).and_then(Weak::upgrade) {
            return Ok(SharedUpload(upload));
        }
        let upload = Upload::open(self.0.directory.join(&part), offer)?;
        let upload = Arc::new(Mutex::new(upload));
        uploads.insert(part, Arc::downgrade(&upload));
        Ok(SharedUpload(upload))
    }

    /// Gives a finished file its name.
    pub(crate) fn publish(&self, upload: &Upload) -> Result<(), Refused> {
        // Under the lock, so that only the first of two files gets the name.
        let _uploads = self.uploads();
        let path = self.0.directory.join(upload.name());
        if fs::symlink_metadata(&path).is_ok() {
            return Err(name_is_taken());
        }
        Ok(fs::rename(upload.part(), path)?)
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Weak<Mutex<Upload>>>> {
        self.0.uploads.lock().expect("no holder panics")
    }
}

impl SharedUpload {
    /// Locks the upload. This waits for handlers of other peers.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Upload> {
        self.0.lock().expect("no holder panics")
    }
}

/// Validates an offer before any use of it.
fn check(offer: &Offer) -> Result<(), Refused> {
    if !is_plain(&offer.name) {
        return Err(Refused::because("that is not a plain file name"));
    }
    if !is_sha256(&offer.sha256) {
        return Err(Refused::because("the checksum must be a SHA-256 in lower case"));
    }
    if offer.size > MAX_SIZE {
        return Err(Refused::because(format_args!(
            "the file is too large: at most {MAX_SIZE} bytes are accepted"
        )));
    }
    Ok(())
}

/// Whether a name stays in its directory on every system: no separator, no drive, and no dot in front,
/// with which hidden and unfinished files begin too.
fn is_plain(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && !name.contains(is_odd)
}

fn name_is_taken() -> Refused {
    Refused::because("the receiver has another file of this name")
}
