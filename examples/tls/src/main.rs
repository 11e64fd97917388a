//! TLS on both sides, with certificates that the program makes. The server presents a certificate, requires
//! one of each client, and receives a new one while it runs.
//!
//! Run it with `cargo run -p tls`. In production the certificates come from files
//! (`ServerTls::from_pem_files`, `Roots::from_pem_file`), issued by your own authority or a public one.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::collections::HashMap;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use veltix::tls::{Certificate, CertificateStore, ClientTls, PeerCertificates, Roots, ServerTls};
use veltix::{Client, ClientConfig, Msg, Router, Server, ServerConfig, State};

#[veltix::message]
enum App {
    #[message(code = 200, reply = You)]
    WhoAmI,
    #[message(code = 201)]
    You { name: String },
}

/// Names of members by certificate.
type Members = Arc<HashMap<Vec<u8>, String>>;

async fn who_am_i(
    State(members): State<Members>,
    PeerCertificates(chain): PeerCertificates,
    _: Msg<WhoAmI>,
) -> You {
    let name = members.get(chain[0].as_ref()).cloned().unwrap_or_default();
    You { name }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let ann = authority.issue("ann")?;
    let members: Members = Arc::new([(ann.chain()[0].to_vec(), "ann".to_owned())].into());

    let certificates = CertificateStore::new(authority.issue("localhost")?);
    let tls = ServerTls::new(certificates.clone())?
        .require_client_certificates(Roots::from_pem(&authority.pem)?)?;
    let router = Router::new().on(who_am_i).with_state(members);
    let config = ServerConfig::default().addr("127.0.0.1:0").tls(tls);
    let server = Server::bind(config, router).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());

    // The client verifies the host of the address, unless `server_name` gives another name.
    let trusting = ClientTls::new(Roots::from_pem(&authority.pem)?)?.server_name("localhost");
    let config = ClientConfig::default().addr(&addr);

    let stranger = config.clone().tls(trusting.clone());
    match Client::connect(stranger, Router::new()).await {
        Ok(_) => println!("a stranger was admitted"),
        Err(error) => println!("a stranger: {error}"),
    }

    let config = config.tls(trusting.certificate(ann));
    let client = Client::connect(config.clone(), Router::new()).await?;
    let tls = format!("{:?}", client.peer().tls());
    println!("connected by {tls}");
    println!("the server knows me as {}", client.request(&WhoAmI).await?.name);

    // A renewal without a restart: open connections stay, new clients see the new certificate.
    certificates.replace(authority.issue("localhost")?);
    println!("after the renewal I am still {}", client.request(&WhoAmI).await?.name);
    let newcomer = Client::connect(config, Router::new()).await?;
    let shown = |client: &Client| client.peer().tls().map(|tls| tls.certificates().to_vec());
    println!("a newcomer sees the new certificate: {}", shown(&newcomer) != shown(&client));

    newcomer.close().await;
    client.close().await;
    hub.shutdown().await;
    running.await?.map_err(Into::into)
}

/// A certificate authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's own certificate, the root of the others.
    pem: String,
}

impl Authority {
    fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    fn issue(&self, name: &str) -> anyhow::Result<Certificate> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([name.to_owned()])?;
        let chain = params.signed_by(&key, &self.issuer)?;
        Ok(Certificate::from_pem(chain.pem(), key.serialize_pem())?)
    }
}
