//! [`NatsServer`]: a real NATS server for the tests, on a free port. Each test starts one and ends it by its id.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// A running NATS server. It ends with this value.
pub(crate) struct NatsServer {
    port: u16,
    /// A directory of its own, with its configuration and its log.
    directory: PathBuf,
    options: Vec<String>,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server, or returns `None` with a visible line if the program is missing.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        Self::prepare(options, "")?.started().await
    }

    /// Starts a server with this configuration.
    pub(crate) async fn configured(config: &str) -> Option<Self> {
        Self::prepare(&[], config)?.started().await
    }

    /// Returns a server that does not run yet.
    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    pub(crate) fn prepare(options: &[&str], config: &str) -> Option<Self> {
        let is_there = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
        if is_there.is_err() {
            eprintln!("skipped: there is no nats-server (Debian: nats-server)");
            return None;
        }
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        drop(socket);
        let directory =
            std::env::temp_dir().join(format!("veltix-nats-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let server = Self { port, directory, options, process: None };
        server.configure(config);
        Some(server)
    }

    async fn started(mut self) -> Option<Self> {
        self.restart().await;
        Some(self)
    }

    /// Writes the configuration for the next start.
    pub(crate) fn configure(&self, config: &str) {
        // An empty file would be an error.
        let config = format!("write_deadline: \"2s\"\n{config}");
        fs::write(self.directory.join("nats.conf"), config).expect("it is written");
    }

    /// Puts a file beside the configuration, which can name it.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, content).expect("it is written");
        path
    }

    /// Starts the server, and waits until it listens.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port])
            .arg("-c")
            .arg(self.directory.join("nats.conf"))
            .arg("-l")
            .arg(self.log_path())
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.expect("it starts"));
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), listens).await.expect("it listens");
    }

    /// Makes the running server read its new configuration.
    pub(crate) fn reload(&self, config: &str) {
        self.configure(config);
        self.signal("-HUP");
    }

    /// Stops the server without ending it.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("it runs").success());
    }

    /// Ends the server at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it has ended");
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("nats.log")
    }

    /// Returns the number of lines of the log with this text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        log.lines().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("tls://127.0.0.1:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
