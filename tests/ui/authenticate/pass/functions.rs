//! Functions that can authenticate a peer.

use std::future::{Ready, ready};

use veltix::handler::FromRef;
use veltix::{HandshakeInfo, Refuse, Router, State};

#[derive(Clone)]
struct Db;

#[derive(Clone)]
struct App(Db);

impl FromRef<App> for Db {
    fn from_ref(app: &App) -> Self {
        app.0.clone()
    }
}

async fn alone(_: HandshakeInfo) -> Result<(), Refuse> {
    Ok(())
}

async fn with_a_part(State(_): State<Db>, _: State<App>, _: HandshakeInfo) -> Result<u8, Refuse> {
    Ok(1)
}

fn with_a_future(_: HandshakeInfo) -> Ready<Result<(), Refuse>> {
    ready(Ok(()))
}

fn main() {
    let _: Router = Router::new().authenticate(alone);
    let _: Router = Router::new().authenticate(alone).with_state(App(Db));
    let _: Router = Router::new().authenticate(with_a_part).with_state(App(Db));
    let _: Router = Router::new().authenticate(with_a_future);
    let captured = String::new();
    let _: Router = Router::new().authenticate(move |_: State<Db>, info: HandshakeInfo| {
        let captured = captured.clone();
        async move { if info.version() == captured { Ok(()) } else { Err(Refuse::new("no")) } }
    }).with_state(Db);
    let _: Router = Router::new().authenticate(async |_: HandshakeInfo| Ok(()));
}
