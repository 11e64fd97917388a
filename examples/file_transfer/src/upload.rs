//! [`Upload`]: a file that is not complete yet.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use veltix::PeerId;

use super::checksum::sha256;
use super::protocol::{Offer, Refused, Stored};
use super::store::Store;

/// A file in transfer. It has a separate name until it is complete, so that no part is mistaken for the file.
/// The part survives a lost connection and a restart of either side.
pub(crate) struct Upload {
    /// The peer that offered it last. After a cut, chunks of the old connection may still be handled when the
    /// new one continues.
    owner: Option<PeerId>,
    offer: Offer,
    part: PathBuf,
    file: File,
    /// The length of the part.
    bytes: u64,
    complete: bool,
}

impl Upload {
    /// Opens the part at this path, or begins a new one.
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

    /// Makes this peer the only one that may send the file.
    pub(crate) fn taken_over_by(&mut self, peer: PeerId) -> Stored {
        self.owner = Some(peer);
        self.stored()
    }

    /// Returns the upload if this peer owns it.
    pub(crate) fn of(&mut self, peer: PeerId) -> Result<&mut Self, Refused> {
        if self.owner != Some(peer) {
            return Err(Refused::because("another connection goes on with this file"));
        }
        Ok(self)
    }

    /// Appends a piece, which must begin at the end of the last one.
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
            // A full disk may have stored a part of the piece.
            self.file.set_len(self.bytes)?;
            return Err(error.into());
        }
        self.bytes = bytes;
        Ok(self.stored())
    }

    /// Verifies the whole file on the disk, and gives it its name.
    pub(crate) fn finish(&mut self, store: &Store) -> Result<Stored, Refused> {
        if self.bytes != self.offer.size {
            return Err(Refused::because("the file is shorter than was offered"));
        }
        self.file.sync_all()?;
        if sha256(&self.part)? != self.offer.sha256 {
            // No part of the file can be trusted, so the next offer begins from the start.
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
