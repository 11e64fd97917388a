//! [`Options`]: the options of the program.

use std::env;

const USAGE: &str = "\
usage: cluster_chat [--nats URL] [--name NODE] [--addr ADDR]
    --nats URL    the NATS server: VELTIX_NATS, or nats://127.0.0.1:4222
    --name NODE   the name of this node: VELTIX_NODE, or the number of the process
    --addr ADDR   the address for clients: VELTIX_ADDR, or 127.0.0.1:8080; port 0 is a free one";

/// The options, from the arguments or from variables.
pub(crate) struct Options {
    pub(crate) addr: String,
    pub(crate) nats: String,
    pub(crate) name: String,
}

impl Options {
    /// Reads the options. The error is the text for the user.
    pub(crate) fn read() -> Result<Self, String> {
        let variable = |name: &str, default: String| env::var(name).unwrap_or(default);
        let mut options = Self {
            addr: variable("VELTIX_ADDR", "127.0.0.1:8080".to_owned()),
            nats: variable("VELTIX_NATS", "nats://127.0.0.1:4222".to_owned()),
            name: variable("VELTIX_NODE", std::process::id().to_string()),
        };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let place = match argument.as_str() {
                "--addr" => &mut options.addr,
                "--nats" => &mut options.nats,
                "--name" => &mut options.name,
                _ => return Err(USAGE.to_owned()),
            };
            *place =
                arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"))?;
        }
        Ok(options)
    }
}
