//! Our client, through its public API.

use anyhow::Result;
use bytes::Bytes;
use veltix::{Client, ClientConfig, Message, MessageType, Router};

use super::measure::{Ask, measure, on_two_workers};
use super::{Load, Rate};

const ECHO: MessageType = MessageType::new(200, "echo", "Sent back as it is");

struct Veltix {
    client: Client,
    body: Bytes,
}

impl Ask for Veltix {
    async fn ask(&self) -> Result<()> {
        self.client.request(&Message::new(ECHO, self.body.clone())).await?;
        Ok(())
    }
}

pub(super) fn run(load: Load) -> Result<Rate> {
    on_two_workers(async move {
        let body = Bytes::from(vec![b'x'; 64]);
        let mut clients = Vec::new();
        for _ in 0..load.connections {
            let config = ClientConfig::default().addr(load.addr.to_string());
            let client = Client::connect(config, Router::new()).await?;
            clients.push(Veltix { client, body: body.clone() });
        }
        measure(&load, clients).await
    })
}
