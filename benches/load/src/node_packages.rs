//! The packages of Node.js for Socket.IO, in a directory under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use veltix_stage::program;

use crate::python::{run, target_directory};

/// The measured versions. The adapter needs a client of Redis.
const PACKAGES: [&str; 3] = ["socket.io@4.8.4", "@socket.io/redis-adapter@8.3.0", "redis@4.7.1"];

/// The script beside this crate's sources.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node/server.js");

/// Returns the server on Socket.IO and its arguments, for a Redis server at this URL.
///
/// # Errors
/// Node.js or npm is not installed, or the packages cannot be.
pub(crate) fn socket_io(redis: &str) -> Result<Vec<String>> {
    let node = program::find("node").context("node is not installed (package nodejs)")?;
    let place = packages()?;
    let place = place.to_str().context("the path of the target directory is not UTF-8")?;
    Ok([&node, SERVER, place, redis].map(str::to_owned).to_vec())
}

/// Checks that the server on Socket.IO can be started, and installs its packages if they are missing.
///
/// # Errors
/// A program is not installed, or the packages cannot be.
pub(crate) fn is_installed() -> Result<()> {
    program::find("redis-server")
        .context("redis-server is not installed (package redis-server)")?;
    socket_io("").map(drop)
}

/// Returns the directory with the packages. Installs them if it does not exist.
fn packages() -> Result<PathBuf> {
    let place = target_directory()?.join("load-node");
    if !place.exists() {
        // The directory becomes visible as a whole or not at all, also for a parallel run that makes
        // its own.
        let making = place.with_file_name(format!("load-node.part-{}", std::process::id()));
        let made = install(&making).and_then(|()| Ok(fs::rename(&making, &place)?));
        let _ = fs::remove_dir_all(&making);
        // A parallel run may have been first.
        if !place.exists() {
            made?;
        }
    }
    Ok(place)
}

fn install(place: &Path) -> Result<()> {
    let npm = program::find("npm").context("npm is not installed (package npm)")?;
    fs::create_dir_all(place)?;
    fs::write(place.join("package.json"), "{\"private\": true}\n")?;
    let options =
        ["--no-audit", "--no-fund", "--save-exact", "--ignore-scripts", "--loglevel=error"];
    run(Command::new(npm).arg("install").arg("--prefix").arg(place).args(options).args(PACKAGES))
}
