//! The file of a Unix socket: made exclusively, taken over only from the dead, removed only while
//! it is ours.

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

/// How often a lock is taken anew that was removed while it was taken. Each time another server has
/// come and gone.
const LOCK_ATTEMPTS: usize = 16;

/// A socket's file that is ours, as long as nobody puts another in its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: Inode,
}

/// Which file it is, whatever its name.
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
            tracing::warn!(path = %self.path.display(), %error, "a socket's file is left behind");
        }
    }
}

/// Listens at a path.
///
/// A file to which nobody listens is a dead server's, or that of a server which has bound and is
/// about to listen. So that the two cannot be mistaken for each other, each server does all of it,
/// from the look at what is there to its listening, under a lock.
pub(super) fn listen(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), BindError> {
    let io_error = |source| BindError::Io { addr: path.display().to_string(), source };
    let in_use = |source| BindError::SocketInUse { path: path.into(), source };
    let address =
        address(path).map_err(|source| BindError::SocketPath { path: path.into(), source })?;
    // The process may be in another directory when the file is removed.
    let absolute = std::path::absolute(path).map_err(io_error)?;
    let Some(_lock) = Lock::take(path).map_err(io_error)? else {
        return Err(in_use(io::Error::new(io::ErrorKind::AddrInUse, "it is just starting")));
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.into() });
        }
        Ok(_) if is_listened_to(&address).map_err(io_error)? => {
            return Err(in_use(io::ErrorKind::AddrInUse.into()));
        }
        Ok(_) => match fs::remove_file(path) {
            Ok(()) => tracing::info!(path = %path.display(), "took over a dead server's socket"),
            // It was not dead, but about to end.
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
    // Nobody can connect before `listen`, so nobody meets the mode that the umask left.
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io_error)?;
    socket.listen(BACKLOG as i32).map_err(io_error)?;
    Ok((socket.into(), file))
}

/// Held while a server comes to listen: a file beside the socket's, locked as long as it is open
/// and removed on drop. The system unlocks that of a server which dies.
struct Lock {
    path: PathBuf,
    _locked: File,
}

impl Lock {
    /// `None` while another server holds it.
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
            // Who held it before has removed it since it was opened: it locks nobody out any more.
        }
        Ok(None)
    }
}

impl Drop for Lock {
    /// Removes the file while it is still locked, so that it is nobody else's.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The socket's address.
///
/// # Errors
/// When a socket cannot have this path, with a text that says why.
pub(super) fn address(path: &Path) -> io::Result<SockAddr> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(invalid("it is empty or contains a zero byte".to_owned()));
    }
    SockAddr::unix(path).map_err(|_| {
        let length = bytes.len();
        invalid(format!("its {length} bytes are more than an address of this system holds"))
    })
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether a connection there would be accepted. The server, if any, sees one that comes and goes.
fn is_listened_to(address: &SockAddr) -> io::Result<bool> {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    let Err(error) = socket()?.connect(address) else { return Ok(true) };
    match error.kind() {
        // Somebody listens, and others wait already.
        WouldBlock => Ok(true),
        ConnectionRefused | NotFound => Ok(false),
        _ => Err(error),
    }
}
