//! Certificates that tests make for themselves.

use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use veltix::tls::{Certificate, ClientTls, Roots, ServerTls};

/// The name in certificates that have no other.
pub const NAME: &str = "server.test";

/// The issuer of certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        // By its name it is known who has issued what.
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Accepts whom this authority has given a certificate.
    pub fn roots(&self) -> Roots {
        Roots::from_pem(&self.pem).expect("a root")
    }

    pub fn issue(&self, name: &str) -> Issued {
        self.issue_with(name, |_| {})
    }

    pub fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let params = params(name, change);
        let chain = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { chain, key: key.serialize_pem() }
    }

    /// A server with a certificate for [`NAME`].
    pub fn server(&self) -> ServerTls {
        ServerTls::new(self.issue(NAME).certificate()).expect("it works")
    }

    /// A client that accepts servers by this authority, and asks for [`NAME`].
    pub fn client(&self) -> ClientTls {
        ClientTls::new(self.roots()).expect("it works").server_name(NAME)
    }
}

impl Issued {
    /// One that nobody else stands behind.
    pub fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let chain = params(name, |_| {}).self_signed(&key).expect("a certificate").pem();
        Self { chain, key: key.serialize_pem() }
    }

    pub fn certificate(&self) -> Certificate {
        Certificate::from_pem(&self.chain, &self.key).expect("it was just made")
    }
}

fn params(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    params
}

/// A server and a client that accepts it.
pub fn both_sides() -> (ServerTls, ClientTls) {
    let authority = Authority::new();
    (authority.server(), authority.client())
}
