//! A build without TLS: the same names, as types without values. Code that uses them compiles to
//! nothing.

use std::time::Duration;

use super::TlsHandshakeError;
use crate::error::ConfigError;
use crate::transport::Stream;

/// TLS of a server: see the module documentation.
#[derive(Clone, Debug)]
pub(crate) enum ServerTls {}

/// TLS of a client: see the module documentation.
#[derive(Clone, Debug)]
pub(crate) enum ClientTls {}

/// TLS of one connection: see the module documentation.
#[derive(Clone)]
pub(crate) enum Dial {}

impl ServerTls {
    pub(crate) fn requires_certificates(&self) -> bool {
        match *self {}
    }

    pub(crate) async fn shake_hands(
        &self,
        _stream: &mut Stream,
        _limit: Duration,
    ) -> Result<(), TlsHandshakeError> {
        match *self {}
    }
}

impl ClientTls {
    pub(crate) fn dial(&self, _addr: Option<&str>) -> Result<Dial, ConfigError> {
        match *self {}
    }
}

impl Dial {
    pub(crate) async fn shake_hands(&self, _stream: &mut Stream) -> Result<(), TlsHandshakeError> {
        match *self {}
    }
}
