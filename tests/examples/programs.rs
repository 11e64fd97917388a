//! The examples as programs: they say what they should, and end by themselves.

use tokio::process::Command;

use crate::interop::examples::{chat_client, chat_server, example};
use crate::interop::process::Process;

fn start(name: &str, variables: &[(&str, &str)]) -> Process {
    let mut command: Command = example(name);
    command.envs(variables.iter().copied());
    Process::start(name, command)
}

async fn says(name: &str, lines: &[&str]) {
    let mut program = start(name, &[]);
    for line in lines {
        program.line(line).await;
    }
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn rooms() {
    says(
        "rooms",
        &[
            "  bob hears ann: hello, lobby",
            "ann is heard by 1 of 3 in the lobby",
            "  dan hears bob: a meeting for those who know their way",
            "bob is heard by 2",
            "of 3 in the lobby, 2 want more tea",
            "in the hall there are no 2 to ask",
            "listening in the hall: bob, dan",
            "* cat leaves the lobby",
            "  cat: the peer closed the connection",
        ],
    )
    .await;
}

#[tokio::test]
async fn auth() {
    says(
        "auth",
        &[
            "guessed: refused, nobody has this token",
            "bob kicks ann: denied: bob is no admin",
            "ann kicks bob: done, 1 connection",
            "here: ann",
            "journal: ann kicked bob (1)",
        ],
    )
    .await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls() {
    let tls = "connected by Some(TlsInfo { version: TLSv1_3, cipher_suite: TLS13_AES_256_GCM_SHA384, certificates: 1, .. })";
    let mut program = start("tls", &[]);
    let refused = |line: &str| {
        (line.starts_with("a stranger: ") && line.contains("CertificateRequired")).then_some(())
    };
    program.find("a stranger without a certificate is refused", refused).await;
    for line in [
        tls,
        "the server knows me as ann",
        "after the renewal I am still ann",
        "a newcomer sees the new certificate: true",
    ] {
        program.line(line).await;
    }
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn dashboard() {
    let mut program = start("dashboard", &[("VELTIX_SECONDS", "2")]);
    let peers = |line: &str| line.strip_prefix("peers ")?.split(' ').next()?.parse::<u32>().ok();
    assert!(program.find("a line with peers", peers).await >= 10);
    program.find("drained", |line| line.starts_with("drained ").then_some(())).await;
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn dashboard_ends_with_ctrl_c() {
    let mut program = start("dashboard", &[("VELTIX_SECONDS", "600")]);
    program.find("a line", |line| line.starts_with("peers ").then_some(())).await;
    program.interrupt().await;
    program.find("drained", |line| line.starts_with("drained ").then_some(())).await;
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn chat_notices_reach_the_others_and_unknown_commands_nobody() {
    let (mut server, port) = chat_server(0).await;
    let mut ann = chat_client("ann", port);
    for line in ["commands: /join ROOM  changes rooms", "          /quit       leaves"] {
        ann.line(line).await;
    }
    ann.line("Welcome! /join ROOM to change rooms.").await;
    let mut bob = chat_client("bob", port);
    bob.line("Welcome! /join ROOM to change rooms.").await;
    let joined = |line: &str| {
        (line.starts_with("* peer ") && line.ends_with(" has joined lobby")).then_some(())
    };
    ann.find("bob has joined", joined).await;

    for (wrong, answer) in [
        ("/jion den", "there is no command \"/jion\": /help lists the commands"),
        ("/", "there is no command \"/\": /help lists the commands"),
        ("/join", "usage: /join ROOM"),
        ("/ping twice", "/ping takes no argument"),
    ] {
        ann.write(wrong).await;
        ann.line(&format!("stderr: * {answer}")).await;
    }
    ann.write("hello").await;
    bob.line("ann: hello").await;
    bob.said_nothing("a line that begins with a slash", |line| line.contains("/jion"));
    bob.said_nothing("a notice of its own joining", |line| line.ends_with("has joined lobby"));
    ann.write("/quit").await;
    let left = |line: &str| {
        (line.starts_with("* ann (peer ") && line.ends_with(") has left lobby")).then_some(())
    };
    bob.find("ann has left", left).await;
    assert!(ann.ended().await.success());

    server.interrupt().await;
    assert!(server.ended().await.success());
    // Its output is a pipe: colours are for terminals.
    for program in [&mut server, &mut ann, &mut bob] {
        program.said_nothing("a colour", |line| line.contains('\u{1b}'));
    }
}
