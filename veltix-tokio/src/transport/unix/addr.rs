//! [`UnixAddr`]: the other end of a Unix socket.

use std::fmt;
use std::path::{Path, PathBuf};

use veltix_core::text::printable;

/// The other end of a connection over a Unix socket: the path that it is bound to, if any, and the
/// process that opened it, confirmed by the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixAddr {
    path: Option<PathBuf>,
    credentials: Option<UnixCredentials>,
}

impl UnixAddr {
    pub(crate) const fn new(path: Option<PathBuf>, credentials: Option<UnixCredentials>) -> Self {
        Self { path, credentials }
    }

    /// Returns the path of the socket, for a server as seen from its client. A client has none,
    /// unless it has bound its own end to a path.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the process at the other end, if the system reports it. The values are those at the
    /// time of the connect: the process may have ended since, or may have passed the socket to
    /// another one.
    #[must_use]
    pub const fn credentials(&self) -> Option<UnixCredentials> {
        self.credentials
    }
}

impl fmt::Display for UnixAddr {
    /// Writes `unix:/run/app.sock`, or `unix:pid 4711` for a client, which usually has no path. A
    /// path that the client has chosen is escaped, since it may be an attack on the reader of the
    /// logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.credentials.and_then(|credentials| credentials.pid)) {
            (Some(path), _) => write!(f, "unix:{}", printable(&path.to_string_lossy())),
            (None, Some(pid)) => write!(f, "unix:pid {pid}"),
            (None, None) => f.write_str("unix:unnamed"),
        }
    }
}

/// The process at the other end of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UnixCredentials {
    /// The user of the process.
    pub uid: u32,
    /// The group of the process.
    pub gid: u32,
    /// The process id, if the system reports it.
    pub pid: Option<i32>,
}

#[cfg(unix)]
impl UnixCredentials {
    pub(super) const fn new(uid: u32, gid: u32, pid: Option<i32>) -> Self {
        Self { uid, gid, pid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_is_known() {
        let credentials = UnixCredentials { uid: 1, gid: 2, pid: Some(3) };
        let nameless = UnixCredentials { pid: None, ..credentials };
        for (path, credentials, shown) in [
            (Some("/run/app.sock"), Some(credentials), "unix:/run/app.sock"),
            (Some("/tmp/a\n\u{1b}[31mb"), None, r"unix:/tmp/a\n\u{1b}[31mb"),
            (None, Some(credentials), "unix:pid 3"),
            (None, Some(nameless), "unix:unnamed"),
            (None, None, "unix:unnamed"),
        ] {
            let addr = UnixAddr::new(path.map(PathBuf::from), credentials);
            assert_eq!(addr.to_string(), shown);
        }
    }
}
