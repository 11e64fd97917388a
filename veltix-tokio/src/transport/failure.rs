//! The errors of `accept`: which ones end a listener, and which ones concern one connection.

use std::io::{self, ErrorKind};

/// Returns whether the system reports with this error that the socket accepts no connection any
/// more: the descriptor is not open, is not a socket, or does not listen.
///
/// All other errors of `accept` are temporary: too few descriptors (`EMFILE`, `ENFILE`) or too
/// little memory (`ENOBUFS`, `ENOMEM`), a signal (`EINTR`), a connection that ended before it was
/// accepted, and the network errors of that connection, which Linux passes on.
pub(crate) fn is_final(error: &io::Error) -> bool {
    #[cfg(unix)]
    const FINAL: [i32; 4] = [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EOPNOTSUPP];
    // `WSAEBADF`, `WSAEINVAL`, `WSAENOTSOCK` and `WSAEOPNOTSUPP`.
    #[cfg(windows)]
    const FINAL: [i32; 4] = [10_009, 10_022, 10_038, 10_045];
    #[cfg(not(any(unix, windows)))]
    const FINAL: [i32; 0] = [];
    error.raw_os_error().is_some_and(|code| FINAL.contains(&code))
}

/// Returns whether the error concerns the one connection that would have been accepted. The next
/// one can be accepted at once.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::Interrupted
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn error(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn only_the_errors_of_the_socket_itself_are_final() {
        for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EOPNOTSUPP] {
            assert!(is_final(&error(code)) && !is_of_one_connection(&error(code)), "{code}");
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EPERM] {
            assert!(!is_final(&error(code)) && !is_of_one_connection(&error(code)), "{code}");
        }
        for code in [libc::ECONNABORTED, libc::EINTR, libc::EHOSTUNREACH, libc::ENETUNREACH] {
            assert!(!is_final(&error(code)) && is_of_one_connection(&error(code)), "{code}");
        }
        // A listener of the application names its final errors itself.
        assert!(!is_final(&ErrorKind::InvalidInput.into()) && !is_final(&io::Error::other("gone")));
    }
}
