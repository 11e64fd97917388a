//! The client that tarpc generates from its service.

use anyhow::{Result, ensure};
use tarpc::serde_transport::tcp;
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context};

use super::measure::{Ask, measure, on_two_workers};
use super::{Load, Rate};
use crate::wire::EchoClient;

struct Tarpc {
    client: EchoClient,
    body: Vec<u8>,
}

impl Ask for Tarpc {
    async fn ask(&self) -> Result<()> {
        let answer = self.client.echo(context::current(), self.body.clone()).await?;
        ensure!(answer.len() == self.body.len(), "the answer has another length than the request");
        Ok(())
    }
}

pub(super) fn run(load: Load) -> Result<Rate> {
    on_two_workers(async move {
        let mut clients = Vec::new();
        for _ in 0..load.connections {
            let transport = tcp::connect(load.addr, Bincode::default).await?;
            // The client of Veltix sets it by itself.
            transport.get_ref().set_nodelay(true)?;
            let client = EchoClient::new(client::Config::default(), transport).spawn();
            clients.push(Tarpc { client, body: vec![b'x'; 64] });
        }
        measure(&load, clients).await
    })
}
