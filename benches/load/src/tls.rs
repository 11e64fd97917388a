//! TLS between the processes of this program: a certificate that is made at the start, and one
//! handshake for each connection.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, Connection, DigitallySignedStruct, ServerConfig, SignatureScheme};

/// The protocol name of Veltix over TLS.
const ALPN: &[u8] = b"veltix/1";

/// Returns the configuration of the servers, with a new certificate.
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

/// Returns the configuration of the generator. Sessions are never resumed, since that would be
/// another measurement.
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

/// Appends the ciphertext that a connection has to send.
pub(crate) fn encrypted(connection: &mut Connection, into: &mut Vec<u8>) {
    while connection.wants_write() {
        // A `Vec` accepts everything.
        if !matches!(connection.write_tls(into), Ok(1..)) {
            break;
        }
    }
}

/// Decrypts ciphertext up to the first plaintext. Returns the number of bytes that were consumed.
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

/// Accepts any certificate: this program has started both processes on this machine. The cost of a
/// handshake is the same, since the signature is checked.
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
