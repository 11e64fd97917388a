//! Servers side by side under one load generator, each in a process of its own.
//!
//! `cargo run --release -p veltix-load` measures them in turn, several times and in alternating
//! order, and prints medians and ratios to the raw loop. Only ratios of one run mean anything.

mod generator;
mod ours;
mod path;
mod raw;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use generator::Workload;

/// Rounds of every workload against every server.
const ROUNDS: usize = 5;

/// The servers, the reference first.
const SERVERS: [&str; 3] = ["raw", "veltix", "veltix-async"];

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("serve-raw") => raw::serve(),
        Some("serve-veltix") => ours::serve(ours::Kind::Plain),
        Some("serve-veltix-async") => ours::serve(ours::Kind::Async),
        Some("one") => one(),
        Some("path") => {
            let mut args = std::env::args().skip(2);
            let name = args.next().unwrap_or_default();
            let messages = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(0);
            path::run(&name, messages);
        }
        _ => compare(),
    }
}

/// One workload, by its number, against a server that runs already: for a profiler.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn one() {
    let mut args = std::env::args().skip(2);
    let number: usize = args.next().and_then(|arg| arg.parse().ok()).expect("usage: one N ADDR");
    let addr = args.next().expect("usage: one N ADDR");
    let workload = Workload::ALL[number];
    println!("{}: {:.1} {}", workload.name(), workload.measure(&addr).rate, workload.unit());
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn compare() {
    println!("| workload | server | median | min–max | ratio to raw |");
    println!("|---|---|---|---|---|");
    for workload in Workload::ALL {
        let mut rates = vec![Vec::new(); SERVERS.len()];
        for round in 0..ROUNDS {
            let mut order: Vec<_> = (0..SERVERS.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for server in order {
                let running = Server::start(SERVERS[server]);
                let before = running.resident();
                let measured = workload.measure(&running.addr);
                rates[server].push(match workload {
                    Workload::Idle => {
                        (running.resident() - before) / measured.idle.len().max(1) as f64
                    }
                    _ => measured.rate,
                });
            }
        }
        for (server, name) in SERVERS.iter().enumerate() {
            let ratios: Vec<_> =
                rates[server].iter().zip(&rates[0]).map(|(ours, raw)| ours / raw).collect();
            let (low, middle, high) = spread(&rates[server]);
            let (_, ratio, _) = spread(&ratios);
            let unit = workload.unit();
            println!(
                "| {} | {name} | {middle:.1} {unit} | {low:.1}–{high:.1} | {ratio:.2} |",
                workload.name()
            );
        }
    }
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

/// A server in a process of its own, ended by its handle.
struct Server {
    child: Child,
    addr: String,
}

impl Server {
    fn start(name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .arg(format!("serve-{name}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let mut addr = String::new();
        BufReader::new(stdout).read_line(&mut addr).expect("the server says where it listens");
        Self { child, addr: addr.trim().to_owned() }
    }
}

impl Server {
    /// Bytes of memory that the process has resident.
    fn resident(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        1024.0 * kib.expect("the system says how much")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
