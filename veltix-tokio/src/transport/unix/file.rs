//! The file of a Unix socket. It is created exclusively, replaces only the file of a server that
//! has ended, and is removed only while it still belongs to this listener.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use veltix_core::limits::BACKLOG;

use crate::error::BindError;

/// The maximum number of attempts to take a lock whose file was removed in the meantime. Each time,
/// another server has taken and released it.
const LOCK_ATTEMPTS: usize = 16;

/// The file of this listener's socket, while no other file replaces it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: Inode,
}

/// The identity of a file, independent of its name.
type Inode = (u64, u64);

fn inode(metadata: &Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| inode(&found) == self.inode)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(
                path = %self.path.display(), %error,
                "the socket's file could not be removed; the next server at this path replaces it"
            );
        }
    }
}

/// Listens at a path.
///
/// A file without a listener belongs to a server that has ended, or to one that has bound and is
/// about to listen. To distinguish the two, each server does all steps under a lock, from the check
/// of the existing file to `listen`.
pub(super) fn listen(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), BindError> {
    let io_error = |source| BindError::Io { addr: path.display().to_string(), source };
    let in_use = |source| BindError::SocketInUse { path: path.into(), source };
    let address =
        address(path).map_err(|source| BindError::SocketPath { path: path.into(), source })?;
    // The process may be in another directory when the file is removed.
    let absolute = std::path::absolute(path).map_err(io_error)?;
    let Some(_lock) = Lock::take(path).map_err(io_error)? else {
        let text = "another server is starting at this path: stop it or use another path";
        return Err(in_use(io::Error::new(io::ErrorKind::AddrInUse, text)));
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.into() });
        }
        Ok(_) if is_listened_to(&address).map_err(io_error)? => {
            return Err(in_use(io::ErrorKind::AddrInUse.into()));
        }
        Ok(_) => match fs::remove_file(path) {
            Ok(()) => {
                tracing::info!(path = %path.display(), "replaced the socket of a server that has ended")
            }
            // The other server had not ended yet, but was just ending.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error(error)),
    }
    let socket = socket().map_err(io_error)?;
    socket.bind(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => in_use(error),
        _ => io_error(error),
    })?;
    let found = fs::symlink_metadata(path).map_err(io_error)?;
    let file = SocketFile { path: absolute, inode: inode(&found) };
    // No peer can connect before `listen`, so none meets the mode that the umask left.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io_error)?;
    socket.listen(BACKLOG as i32).map_err(io_error)?;
    Ok((socket.into(), file))
}

/// The lock that a server holds until it listens: a file beside the socket's file, locked while it
/// is open and removed on drop. The system releases the lock of a server that dies.
struct Lock {
    path: PathBuf,
    _locked: File,
}

impl Lock {
    /// Takes the lock. Returns `None` while another server holds it.
    fn take(path: &Path) -> io::Result<Option<Self>> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".lock");
        let path = path.with_file_name(name);
        for _ in 0..LOCK_ATTEMPTS {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let ours = inode(&file.metadata()?);
            if fs::symlink_metadata(&path).is_ok_and(|found| inode(&found) == ours) {
                return Ok(Some(Self { path, _locked: file }));
            }
            // The previous holder has removed the file since it was opened, so it locks out nobody
            // any more.
        }
        Ok(None)
    }
}

impl Drop for Lock {
    /// Removes the file while it is still locked, so that it cannot be another server's.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the socket's address.
///
/// # Errors
/// An error with a text that explains why a socket cannot have this path.
pub(super) fn address(path: &Path) -> io::Result<SockAddr> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(invalid("it is empty or contains a zero byte: use another path".to_owned()));
    }
    SockAddr::unix(path).map_err(|_| {
        let length = bytes.len();
        invalid(format!("its {length} bytes exceed the limit of this system: use a shorter path"))
    })
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Returns whether a connection there would be accepted. The server, if any, sees one that opens
/// and closes.
fn is_listened_to(address: &SockAddr) -> io::Result<bool> {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    let Err(error) = socket()?.connect(address) else { return Ok(true) };
    match error.kind() {
        // A server listens, and other connections wait already.
        WouldBlock => Ok(true),
        ConnectionRefused | NotFound => Ok(false),
        _ => Err(error),
    }
}
