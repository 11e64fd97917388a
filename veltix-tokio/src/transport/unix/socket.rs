//! The listener and the connector of Unix sockets, and their streams. Streams are written on the
//! same fast path as TCP's.

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
use crate::transport::failure::is_of_one_connection;
use crate::transport::{Connector, Listener, PeerAddr, Stream, StreamWriter};

/// Only the user of the server process may connect.
const OWNER_ONLY: u32 = 0o600;

/// A listening Unix socket, for [`Server::with_listener`](crate::Server::with_listener).
///
/// # The socket's file
///
/// The listener replaces the file of a server that has ended. It does not touch the file of a live
/// server, nor a file that is not a socket. Two servers that start at the same time do not take the
/// path from each other: one of them gets [`BindError::SocketInUse`]. For this purpose a second
/// file exists beside the first one for a moment, for example `.app.sock.lock`. Such a file that is
/// left after a crash locks out no server.
///
/// The file is removed when the listener is dropped, which is the first step of a shutdown. It is
/// removed only if it still belongs to this listener: a file that another process has put in its
/// place stays.
///
/// # Permissions
///
/// Every process that may write to the file may connect: those of the user that the server runs as,
/// and of root (mode 0600), independent of the umask. [`bind_with_mode`](Self::bind_with_mode)
/// admits others. The file has its mode before any peer can connect. Some systems (old BSDs) ignore
/// the mode of a socket and check only that of its directory.
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
    /// Dropped before the listener: while the listener is open, no other socket can have its inode.
    file: SocketFile,
    listener: UnixListener,
}

impl UnixSocketListener {
    /// Listens at this path, for the user that this process runs as. Call it on a Tokio runtime.
    ///
    /// # Errors
    /// [`BindError::SocketInUse`] if a server listens there. [`BindError::NotASocket`] if another
    /// file has the path. [`BindError::SocketPath`] if the path is too long (107 bytes on Linux,
    /// 103 on macOS and the BSDs). [`BindError::NoRuntime`] outside of a Tokio runtime.
    /// [`BindError::Io`] for an error of the system, for example a
    /// missing or read-only directory.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, BindError> {
        Self::bind_with_mode(path, OWNER_ONLY)
    }

    /// Listens at this path with a file of this mode. Mode 0o660 admits the file's group, and 0o666
    /// every user of this machine. Call it on a Tokio runtime.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub fn bind_with_mode(path: impl AsRef<Path>, mode: u32) -> Result<Self, BindError> {
        let path = path.as_ref();
        let io_error = |source| BindError::Io { addr: path.display().to_string(), source };
        // `from_std` panics without a runtime.
        tokio::runtime::Handle::try_current().map_err(|_| BindError::NoRuntime)?;
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
                // A peer that closed before it was accepted is no reason to pause.
                Err(error) if is_of_one_connection(&error) => {}
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
    /// Creates a connector to the server that listens at this path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Connector for UnixSocketConnector {
    /// Connects. It also fails while the server's backlog is full. A TCP connect would wait then.
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
            // A `send`, which costs the system less than a `writev` of one slice.
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
