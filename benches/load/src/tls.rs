//! TLS as the peers of this program speak it to each other: a certificate of the moment, and one
//! handshake for each connection.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, Connection, DigitallySignedStruct, ServerConfig, SignatureScheme};

/// What Veltix speaks over TLS.
const ALPN: &[u8] = b"veltix/1";

/// Of the servers, with a certificate that is made just now.
pub(crate) fn server() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a name is all that it needs");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], made.signing_key.into())
        .expect("they belong together");
    config.alpn_protocols.push(ALPN.to_vec());
    Arc::new(config)
}

/// Of the generator. Every handshake is a whole one, since a resumed one is another measurement.
pub(crate) fn client() -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    config.alpn_protocols.push(ALPN.to_vec());
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// All ciphertext that a connection has to send, at the end of this.
pub(crate) fn encrypted(connection: &mut Connection, into: &mut Vec<u8>) {
    while connection.wants_write() {
        // A `Vec` takes everything.
        if !matches!(connection.write_tls(into), Ok(1..)) {
            break;
        }
    }
}

/// Has ciphertext decrypted, up to the first plaintext; says how much of it was taken.
pub(crate) fn decrypt(connection: &mut Connection, ciphertext: &[u8]) -> io::Result<usize> {
    let mut rest = ciphertext;
    while !rest.is_empty() {
        if connection.read_tls(&mut rest)? == 0 {
            return Ok(ciphertext.len());
        }
        let state = connection.process_new_packets().map_err(io::Error::other)?;
        if state.plaintext_bytes_to_read() > 0 {
            break;
        }
    }
    Ok(ciphertext.len() - rest.len())
}

/// Takes any certificate: both processes were started by this program, on this machine. What a
/// handshake costs is the same, since its signature is checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
