//! The sending side: offers a file, sends the missing part, and continues after a cut.

use std::fmt;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use veltix::{Client, Peer, RequestError};

use super::checksum::sha256;
use super::protocol::{CHUNK, Chunk, Finish, Offer, Refused, Stored};

/// Chunks in flight at any time. A sender has 2 MiB in flight, for a file of any size. This fits the outbox,
/// so that no chunk waits for room.
pub(crate) const WINDOW: usize = 8;

/// The timeout for the answer to a chunk. The heartbeat closes a silent connection earlier, and the transfer
/// continues over the next one.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lowest rate of a receiver's disk, in bytes per second, for which the sender waits.
const SLOWEST_DISK: u64 = 20_000_000;

/// A file to be sent.
pub(crate) struct Source {
    path: PathBuf,
    offer: Offer,
}

impl Source {
    /// Reads the whole file once, for its checksum.
    pub(crate) async fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let size = tokio::fs::metadata(&path).await?.len();
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| io::Error::other("its name is not Unicode"))?;
        let sha256 = checksum(path.clone()).await?;
        Ok(Self { path, offer: Offer { name, size, sha256 } })
    }

    pub(crate) const fn size(&self) -> u64 {
        self.offer.size
    }

    /// Returns the timeout for an answer before which the receiver may read the whole file.
    fn patience(&self) -> Duration {
        PATIENCE + Duration::from_secs(self.size() / SLOWEST_DISK)
    }
}

async fn checksum(path: PathBuf) -> io::Result<String> {
    tokio::task::spawn_blocking(move || sha256(&path)).await?
}

/// Sends the file. `progress` receives the number of bytes that the receiver has stored.
///
/// A lost connection does not end this: the client reconnects, and the receiver returns the offset at which to
/// continue.
pub(crate) async fn send(
    client: &Client,
    source: &Source,
    progress: impl Fn(u64),
) -> Result<(), TransferError> {
    loop {
        let server = connected(client).await?;
        match send_to(&server, source, &progress).await {
            Err(TransferError::Request(RequestError::ConnectionLost | RequestError::Closed)) => {}
            done => return done,
        }
    }
}

/// Sends the file, or the rest of it, over one connection.
async fn send_to(
    server: &Peer,
    source: &Source,
    progress: &impl Fn(u64),
) -> Result<(), TransferError> {
    let offered = server.request(&source.offer).timeout(source.patience());
    let Stored { bytes, complete } = offered.await?;
    progress(bytes);
    if complete {
        return Ok(());
    }
    send_chunks(server, &source.path, bytes, progress).await?;
    server.request(&Finish).timeout(source.patience()).await?;
    Ok(())
}

/// Sends the file from an offset on, a window of chunks at a time.
async fn send_chunks(
    server: &Peer,
    path: &Path,
    mut offset: u64,
    progress: &impl Fn(u64),
) -> Result<(), TransferError> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    // The chunks are sent in the order in which they are added.
    let mut in_flight = FuturesOrdered::new();
    let mut is_read = false;
    loop {
        while in_flight.len() < WINDOW && !is_read {
            let (chunk, length) = read_chunk(&mut file, offset).await?;
            is_read = length == 0;
            if !is_read {
                offset += length;
                in_flight.push_back(server.request(&chunk).timeout(PATIENCE));
            }
        }
        match in_flight.next().await {
            Some(stored) => progress(stored?.bytes),
            None => return Ok(()),
        }
    }
}

/// Returns the next chunk of the file and its number of bytes.
async fn read_chunk(file: &mut File, offset: u64) -> io::Result<(Chunk, u64)> {
    let mut body = Chunk::body_at(offset);
    let length = file.take(CHUNK as u64).read_to_end(&mut body).await?;
    Ok((Chunk(body.into()), length as u64))
}

/// Waits for a connection, unless the client has given up.
async fn connected(client: &Client) -> Result<Peer, TransferError> {
    client.connected().await.map_err(|error| TransferError::Lost(error.to_string()))
}

/// The reason why a file was not sent.
#[derive(Debug)]
pub(crate) enum TransferError {
    /// The receiver refused the file, for this reason.
    Refused(String),
    /// The connection is lost, for this reason.
    Lost(String),
    Request(RequestError<Refused>),
    Io(io::Error),
}

impl std::error::Error for TransferError {}

impl From<RequestError<Refused>> for TransferError {
    fn from(error: RequestError<Refused>) -> Self {
        match error {
            RequestError::Remote(Refused { reason }) => Self::Refused(reason),
            error => Self::Request(error),
        }
    }
}

impl From<io::Error> for TransferError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The text is a peer's. In quotes, it has no control characters for a terminal.
            Self::Refused(reason) => write!(f, "the receiver refused the file: {reason:?}"),
            Self::Lost(reason) => {
                write!(f, "the connection is lost: {reason}. Call the program again to continue")
            }
            Self::Request(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the file cannot be read: {error}"),
        }
    }
}
