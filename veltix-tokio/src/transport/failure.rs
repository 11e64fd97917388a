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
    const NO_SOCKET: [i32; 3] = [libc::EBADF, libc::ENOTSOCK, libc::EOPNOTSUPP];
    // `WSAEBADF`, `WSAENOTSOCK` and `WSAEOPNOTSUPP`.
    #[cfg(windows)]
    const NO_SOCKET: [i32; 3] = [10_009, 10_038, 10_045];
    #[cfg(not(any(unix, windows)))]
    const NO_SOCKET: [i32; 0] = [];
    // `InvalidInput` is the kind of `EINVAL`: the socket does not listen.
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
        || error.raw_os_error().is_some_and(|code| NO_SOCKET.contains(&code))
}

/// Returns whether the peer ended the connection, by this error of reading or writing.
pub(crate) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
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
        // A listener of an application has errors without a number.
        for kind in [ErrorKind::InvalidInput, ErrorKind::Unsupported] {
            assert!(is_final(&kind.into()), "{kind}");
        }
        // A peer may cause these, and must not end a listener.
        for kind in [ErrorKind::InvalidData, ErrorKind::UnexpectedEof, ErrorKind::BrokenPipe] {
            assert!(!is_final(&kind.into()), "{kind}");
        }
        assert!(!is_final(&io::Error::other("gone")), "the listener names such an error itself");
    }
}
