//! The example `auth`, and the example's own Python client.

use super::env;
use super::examples::auth_server;
use super::process::Process;
use super::run::run_with;

const PYTHON: &str = "3.3.0";

async fn ask(port: u16, token: &str, lines: &[&str]) -> bool {
    let script = crate::support::repository().join("examples/auth_client.py");
    let mut command = tokio::process::Command::new(env::python(PYTHON).unwrap());
    command.arg("-B").arg(script).args([token, &port.to_string()]);
    let mut client = Process::start(format!("auth_client.py {token}"), command);
    for line in lines {
        client.line(line).await;
    }
    client.ended().await.success()
}

#[test]
fn python_clients_are_asked_for_their_token() {
    run_with(PYTHON, "auth", "token", async {
        let (mut server, port) = auth_server().await;
        let ann = ["welcome, ann", "here: ann", "kicked: 0"];
        assert!(ask(port, "sesame-ann", &ann).await);
        let bob = ["welcome, bob", "here: bob", "denied: bob is no admin"];
        assert!(ask(port, "sesame-bob", &bob).await);
        assert!(!ask(port, "guessed", &["stderr: refused: nobody has this token"]).await);
        server.interrupt().await;
        server.line("journal: ann kicked nobody (0)").await;
        assert!(server.ended().await.success());
    });
}
