//! A state that the router does not have.

use veltix::{Client, ClientConfig, Msg, Router, Server, ServerConfig, State};

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say { text: String },
}

#[derive(Clone)]
struct Db;

#[derive(Clone)]
struct App {
    db: Db,
}

async fn say(State(db): State<Db>, Msg(say): Msg<Say>) {}

async fn forgotten() -> veltix::Result<()> {
    let router = Router::new().on(say);
    Server::bind(ServerConfig::default(), router).await?.run().await
}

async fn forgotten_by_a_client() -> veltix::Result<()> {
    let _client = Client::connect(ClientConfig::default(), Router::new().on(say)).await?;
    Ok(())
}

fn main() {
    let _: Router = Router::new().on(say).with_state(App { db: Db });
    let _: Router<App> = Router::<App>::new().fallback(async |State(_): State<Db>| ());
}
