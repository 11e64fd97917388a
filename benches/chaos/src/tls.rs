//! A certificate for one run, for a server and the clients that trust it.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use veltix::tls::{ClientTls, Roots, ServerTls};

/// The name in the certificate.
const NAME: &str = "localhost";

/// A certificate and its key, as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pem {
    certificate: String,
    key: String,
}

impl Pem {
    pub(crate) fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        Ok(Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    pub(crate) fn server(&self) -> Result<ServerTls> {
        Ok(ServerTls::from_pem(&self.certificate, &self.key)?)
    }

    pub(crate) fn client(&self) -> Result<ClientTls> {
        Ok(ClientTls::new(Roots::from_pem(&self.certificate)?)?.server_name(NAME))
    }
}
