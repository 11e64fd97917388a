//! A NATS server that a case starts on a free port and ends by its id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};
use veltix::Server;
use veltix_cluster::{Nats, NatsConfig};

use super::{Between, Place, joining};
use crate::support::skipped;

/// The name of the cluster.
const NAME: &str = "conformance";

/// A running server. It ends with this value.
struct NatsServer {
    process: Child,
    dir: PathBuf,
    url: String,
}

impl NatsServer {
    /// Starts a server that takes messages up to this size, for a user who may use the subjects of the cluster
    /// and no others. Returns `None` if the program is missing.
    async fn start(max_payload: usize) -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("nats-{}-{number}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).expect("the target directory can be written");
        let config = dir.join("config");
        let text = format!(
            r#"max_payload: {max_payload}
authorization {{ users = [ {{ user: veltix, password: secret, permissions: {{
    publish: "vx.{NAME}.>", subscribe: "vx.{NAME}.>" }} }} ] }}
"#
        );
        fs::write(&config, text).expect("the directory can be written");
        // The server chooses a port and tells it by a file, so that no other test can be in between.
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", "-1", "-c"])
            .arg(&config)
            .arg("--ports_file_dir")
            .arg(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            let _ = fs::remove_dir_all(&dir);
            return None;
        };
        let ports = dir.join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self { process, dir, url: String::new() };
        let written = timeout(Duration::from_secs(10), async {
            loop {
                match url_of(&ports) {
                    Some(url) => return url,
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        });
        server.url = written.await.expect("the server tells its port");
        Some(server)
    }

    async fn connect(&self) -> Nats {
        let config = NatsConfig::new(&self.url, NAME).user_and_password("veltix", "secret");
        config.connect().await.expect("it connects")
    }
}

/// Returns the URL in a file that is written at once or in parts.
fn url_of(ports: &Path) -> Option<String> {
    let ports: Value = serde_json::from_str(&fs::read_to_string(ports).ok()?).ok()?;
    Some(ports.get("nats")?.get(0)?.as_str()?.to_owned())
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A server of its own with these properties.
async fn start(case: &str, max_payload: usize) -> Option<NatsServer> {
    let server = NatsServer::start(max_payload).await;
    if server.is_none() {
        skipped::skip(case, "there is no nats-server (Debian: nats-server)");
    }
    server
}

/// A NATS server with its default limit.
pub(in crate::conformance) struct OverNats(NatsServer);

impl Place for OverNats {
    const NAME: &'static str = "nats";
    const NODES: usize = 3;

    async fn new(case: &str) -> Option<Self> {
        start(case, 1024 * 1024).await.map(Self)
    }

    async fn join(&self, server: Server) -> Server {
        server.cluster(joining(self.0.connect().await))
    }
}

impl Between for OverNats {
    type Engine = Nats;

    async fn engine(&self) -> Nats {
        self.0.connect().await
    }
}

/// A NATS server that takes messages of up to 64 KiB.
pub(in crate::conformance) struct OverSmallNats(NatsServer);

impl Place for OverSmallNats {
    const NAME: &'static str = "nats with a small limit";
    const NODES: usize = 3;

    async fn new(case: &str) -> Option<Self> {
        start(case, 64 * 1024).await.map(Self)
    }

    async fn join(&self, server: Server) -> Server {
        server.cluster(joining(self.0.connect().await))
    }
}
