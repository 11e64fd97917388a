//! The listener, the connector, and their streams, which are written on the same fast path as
//! TCP's.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};

use super::file::{self, SocketFile};
use super::{UnixAddr, UnixCredentials};
use crate::error::BindError;
use crate::transport::{Connector, Listener, PeerAddr, Stream, StreamWriter};

/// Only the user that the server runs as may connect.
const OWNER_ONLY: u32 = 0o600;

/// A listening Unix socket, for [`Server::with_listener`](crate::Server::with_listener).
///
/// # The socket's file
///
/// A file of a server that has died is taken over; a server that lives is not touched, and neither
/// is a file that is not a socket. Two servers that start at the same time do not take it from each
/// other: one of them gets [`BindError::SocketInUse`]. For that there is a second file beside it for
/// a moment, `.app.sock.lock` say; one that is left by a crash locks nobody out.
///
/// The file is removed when the listener is dropped, which a shutdown does first of all, if it is
/// still this listener's: what another process has put in its place stays.
///
/// # Who may connect
///
/// Whoever may write to the file: the user that the server runs as, and root (mode 0600), whatever
/// the umask is. [`bind_with_mode`](Self::bind_with_mode) lets others in. The file has its mode
/// before anybody can connect. Some systems (old BSDs) ignore the mode of a socket, and only look
/// at its directory's.
///
/// ```no_run
/// # async fn f() -> veltix::Result<()> {
/// use veltix::transport::UnixSocketListener;
/// use veltix::{Router, Server, ServerConfig};
///
/// let listener = UnixSocketListener::bind_with_mode("/run/app.sock", 0o660)?;
/// Server::with_listener(listener, ServerConfig::default(), Router::new())?.run().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct UnixSocketListener {
    /// Dropped before the listener: while that is open, no other socket can have its inode.
    file: SocketFile,
    listener: UnixListener,
}

impl UnixSocketListener {
    /// Listens at this path, for the user that this process runs as. To be called on a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`BindError::SocketInUse`] when a server listens there, [`BindError::NotASocket`] when the
    /// path is another file's, [`BindError::SocketPath`] when it is too long (107 bytes on Linux,
    /// 103 on macOS and the BSDs), [`BindError::Io`] for what the system reports: the directory is
    /// missing or may not be written to, say.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, BindError> {
        Self::bind_with_mode(path, OWNER_ONLY)
    }

    /// Listens at this path, whose file gets this mode: 0o660 lets the file's group in, 0o666
    /// everybody on this machine. To be called on a Tokio runtime.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with_mode(path: impl AsRef<Path>, mode: u32) -> Result<Self, BindError> {
        let path = path.as_ref();
        let io_error = |source| BindError::Io { addr: path.display().to_string(), source };
        // `from_std` would panic.
        tokio::runtime::Handle::try_current().map_err(|e| io_error(io::Error::other(e)))?;
        let (socket, file) = file::listen(path, mode)?;
        let listener = UnixListener::from_std(socket).map_err(io_error)?;
        Ok(Self { file, listener })
    }
}

impl Listener for UnixSocketListener {
    async fn accept(&mut self) -> io::Result<Stream> {
        loop {
            match self.listener.accept().await {
                Ok((stream, addr)) => {
                    return Ok(wrap(stream, addr.as_pathname().map(Path::to_owned)));
                }
                // A peer that was gone before it was accepted is no reason to pause.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Unix(UnixAddr::new(Some(self.file.path().to_owned()), None))
    }
}

/// Connects to a Unix socket, for [`Client::connect_with`](crate::Client::connect_with).
#[derive(Clone, Debug)]
pub struct UnixSocketConnector {
    path: PathBuf,
}

impl UnixSocketConnector {
    /// Connects to the server that listens at this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Connector for UnixSocketConnector {
    /// Fails as well while the server's backlog is full, where a TCP connect would wait.
    async fn connect(&self) -> io::Result<Stream> {
        file::address(&self.path)?;
        let stream = UnixStream::connect(&self.path).await?;
        Ok(wrap(stream, Some(self.path.clone())))
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }
}

fn wrap(stream: UnixStream, path: Option<PathBuf>) -> Stream {
    let credentials = stream.peer_cred().ok();
    let credentials =
        credentials.map(|found| UnixCredentials::new(found.uid(), found.gid(), found.pid()));
    let (reader, writer) = stream.into_split();
    Stream::local(reader, writer, PeerAddr::Unix(UnixAddr::new(path, credentials)))
}

impl StreamWriter for OwnedWriteHalf {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // A `send`, which costs the system less than a `writev` of one.
            [slice] => self.try_write(slice),
            slices => Self::try_write_vectored(self, slices),
        }
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_ref().poll_write_ready(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self), cx)
    }
}
