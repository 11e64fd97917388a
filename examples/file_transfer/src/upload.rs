//! [`Upload`]: a file that is not complete yet.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use veltix::PeerId;

use super::checksum::sha256;
use super::protocol::{Offer, Refused, Stored};
use super::store::Store;

/// A file on its way. It has a name of its own until it is whole, so that nobody takes a part for
/// the file, and what is there of it survives a lost connection and a restart of either side.
pub(crate) struct Upload {
    /// The peer that offered it last. After a cut, chunks of the old connection may still be
    /// handled when the new one goes on.
    owner: Option<PeerId>,
    offer: Offer,
    part: PathBuf,
    file: File,
    /// The length of the part.
    bytes: u64,
    complete: bool,
}

impl Upload {
    /// Goes on with the part at this path, if there is one.
    pub(crate) fn open(part: PathBuf, offer: Offer) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&part)?;
        let mut bytes = file.metadata()?.len();
        if bytes > offer.size {
            file.set_len(0)?;
            bytes = 0;
        }
        Ok(Self { owner: None, offer, part, file, bytes, complete: false })
    }

    pub(crate) fn name(&self) -> &str {
        &self.offer.name
    }

    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// From now on this peer sends it, and none that did before.
    pub(crate) fn taken_over_by(&mut self, peer: PeerId) -> Stored {
        self.owner = Some(peer);
        self.stored()
    }

    /// The upload, if it is this peer's.
    pub(crate) fn of(&mut self, peer: PeerId) -> Result<&mut Self, Refused> {
        if self.owner != Some(peer) {
            return Err(Refused::because("another connection goes on with this file"));
        }
        Ok(self)
    }

    /// Adds a piece, which must begin where the last one has ended.
    pub(crate) fn write(&mut self, offset: u64, piece: &[u8]) -> Result<Stored, Refused> {
        if offset != self.bytes {
            let expected = self.bytes;
            return Err(Refused::because(format_args!("a chunk at {offset}, not {expected}")));
        }
        let bytes = self.bytes + piece.len() as u64;
        if bytes > self.offer.size {
            return Err(Refused::because("the file is longer than was offered"));
        }
        if let Err(error) = self.file.write_all(piece) {
            // A full disk may have taken a part of the piece.
            self.file.set_len(self.bytes)?;
            return Err(error.into());
        }
        self.bytes = bytes;
        Ok(self.stored())
    }

    /// Checks the whole file as it is on the disk, and gives it its name.
    pub(crate) fn finish(&mut self, store: &Store) -> Result<Stored, Refused> {
        if self.bytes != self.offer.size {
            return Err(Refused::because("the file is shorter than was offered"));
        }
        self.file.sync_all()?;
        if sha256(&self.part)? != self.offer.sha256 {
            // Nothing of it can be trusted: the next offer begins anew.
            self.bytes = 0;
            self.file.set_len(0)?;
            return Err(Refused::because("the checksum is wrong: the file changed meanwhile?"));
        }
        store.publish(self)?;
        self.complete = true;
        Ok(self.stored())
    }

    const fn stored(&self) -> Stored {
        Stored { bytes: self.bytes, complete: self.complete }
    }
}
