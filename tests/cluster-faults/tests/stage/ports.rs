//! Free ports.

use std::net::TcpListener;

/// Returns a free port below those that the system gives to outgoing connections. A client that tries an ended
/// server again could otherwise be given its port, or connect to itself.
pub(crate) fn free() -> u16 {
    loop {
        let port = fastrand::u16(15_000..32_000);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
