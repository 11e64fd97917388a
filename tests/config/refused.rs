//! Invalid settings and routers.

use std::cell::RefCell;
use std::panic::{self, UnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use veltix::transport::memory;
use veltix::{
    BindError, BufferSize, Client, ClientConfig, ConfigError, ConnectError, Hub, Message,
    MessageType, Router, Server, ServerConfig,
};

use crate::support::{ECHO, OTHER, PIPE, World};

/// Returns the error of a server with this config.
fn server(config: ServerConfig) -> ConfigError {
    match Server::with_listener(memory(PIPE).0, config, Router::new()) {
        Err(BindError::Config(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Returns the error of a client with this config and router, before it connects.
async fn client(config: ClientConfig, router: Router) -> ConfigError {
    match Client::connect_with(memory(PIPE).1, config, router).await {
        Err(ConnectError::Config(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_text_that_is_no_network_is_refused() {
    let config =
        ServerConfig::default().addr("127.0.0.1:0").trust_proxy(["10.0.0.1", "10.0.0.1/8"]);
    let expected = ConfigError::Network { text: "10.0.0.1/8".to_owned() };
    assert!(expected.to_string().contains("such as 10.0.0.0/8"), "{expected}");
    assert_eq!(server(config.clone()), expected);
    let bound = Server::bind(config, Router::new()).await;
    assert!(matches!(bound, Err(BindError::Config(error)) if error == expected));
}

#[tokio::test]
async fn limits_that_let_nothing_through_are_refused() {
    let zero = |name| ConfigError::Zero { name };
    let default = ServerConfig::default;
    assert_eq!(server(default().max_connections(0)), zero("max_connections"));
    assert_eq!(
        server(default().max_connections_per_address(Some(0))),
        zero("max_connections_per_address")
    );
    assert_eq!(server(default().accept_rate(0, 1)), zero("accept_rate"));
    assert_eq!(server(default().accept_rate(1, 0)), zero("accept_rate"));
    assert_eq!(server(default().max_pending_handshakes(0, 1)), zero("max_pending_handshakes"));
    assert_eq!(server(default().max_pending_handshakes(1, 0)), zero("max_pending_handshakes"));
    assert_eq!(server(default().outbox(0, 16 << 20)), zero("outbox_frames"));
    assert_eq!(server(default().inbox(0, 1)), zero("inbox_messages"));
    assert_eq!(server(default().inbox(1, 0)), zero("inbox_bytes"));
    assert_eq!(server(default().max_workers(0)), zero("max_workers"));
    assert_eq!(server(default().max_tags(0)), zero("max_tags"));
    assert_eq!(server(default().max_values(0)), zero("max_values"));
    let too_high = |name, value, max| ConfigError::TooHigh { name, value, max };
    assert_eq!(server(default().max_tags(1_025)), too_high("max_tags", 1_025, 1_024));
    assert_eq!(server(default().max_values(100_001)), too_high("max_values", 100_001, 100_000));
    assert_eq!(server(default().heartbeat(Some(Duration::ZERO))), ConfigError::Heartbeat);
    let config = ClientConfig::default().inbox(0, 1);
    assert_eq!(client(config, Router::new()).await, zero("inbox_messages"));
}

#[tokio::test]
async fn an_outbox_must_hold_the_largest_message() {
    let config = ServerConfig::default().max_message_size(1001).outbox(10, 1000);
    let error = ConfigError::OutboxTooSmall { outbox_bytes: 1000, max_message_size: 1001 };
    assert_eq!(server(config), error);
    let text = error.to_string();
    assert!(
        text.contains("1000 bytes")
            && text.contains("enlarge the outbox, or lower max_message_size")
    );
    let config = ClientConfig::default().max_message_size(17 << 20);
    assert!(matches!(
        client(config, Router::new()).await,
        ConfigError::OutboxTooSmall { max_message_size: 17_825_792, .. }
    ));
}

#[tokio::test]
async fn a_message_has_room_for_its_header_and_fits_the_length_field() {
    for value in [0, 14, (1 << 32) + 1] {
        let config = ServerConfig::default().max_message_size(value).outbox(10, value);
        let (min, max) = (15, u32::MAX as usize);
        assert_eq!(server(config), ConfigError::MessageSize { value, min, max });
    }
}

#[tokio::test]
async fn a_read_buffer_may_not_be_huge_beyond_sense() {
    let (value, max) = ((64 << 20) + 1, 64 << 20);
    let config = ServerConfig::default().buffer_size(BufferSize::Bytes(value));
    assert_eq!(server(config), ConfigError::BufferSize { value, max });
}

#[tokio::test]
async fn a_bind_with_a_bad_config_binds_nothing() {
    let config = ServerConfig::default().addr("127.0.0.1:0").max_workers(0);
    let bound = Server::bind(config, Router::new()).await;
    assert!(matches!(bound, Err(BindError::Config(ConfigError::Zero { name: "max_workers" }))));
}

#[tokio::test]
async fn a_client_refuses_handlers_that_need_a_hub() {
    let routers: [(&str, Router); 5] = [
        ("route echo(200)", Router::new().route(OTHER, || {}).route(ECHO, async |_: Hub| {})),
        ("route other(201)", Router::new().route_blocking(OTHER, |_: Hub, _: Message| {})),
        ("the fallback", Router::new().fallback(|_: Hub| {})),
        ("on_connect", Router::new().on_connect(|_: Hub| {})),
        ("on_disconnect", Router::new().on_disconnect(async |_: Hub| {})),
    ];
    for (route, router) in routers {
        let error = client(ClientConfig::default(), router).await;
        assert_eq!(error, ConfigError::NeedsHub { route: route.to_owned() });
        assert!(error.to_string().contains("use `Peer`"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_has_a_hub() {
    let world = World::new(Router::new().route(ECHO, |_: Hub| "here"));
    let client = world.client(Router::new()).await;
    assert_eq!(client.request(&Message::empty(ECHO)).await.unwrap().text().unwrap(), "here");
}

/// Returns the place where building a router panics, as `file:line:column`, with the panic text.
fn panic_of(build: impl FnOnce() -> Router + UnwindSafe) -> (String, String) {
    thread_local! {
        static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    }
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PLACE.set(info.location().map(ToString::to_string).unwrap_or_default());
            others(info);
        }));
    });
    let panic = catch_unwind(build).expect_err("it panics");
    (PLACE.take(), panic.downcast_ref::<String>().expect("it has a text").clone())
}

#[test]
fn two_handlers_for_one_type_are_told_with_both_places() {
    // Equal by code, with another name.
    const AGAIN: MessageType = MessageType::new(200, "again", "");
    const LINE: u32 = line!();
    let (place, text) = panic_of(|| {
        let router = Router::new().route(ECHO, || {});
        router.route_blocking(AGAIN, || {})
    });
    let line = |number| format!("{}:{number}:", file!());
    assert!(place.starts_with(&line(LINE + 3)), "{place}");
    let (first, told) = (line(LINE + 2), "message code 200 has a route already, added at ");
    assert!(text.starts_with(&format!("{told}{first}")), "{text}");
}

#[test]
fn the_protocol_s_own_types_have_no_handlers() {
    const LINE: u32 = line!();
    let (place, text) = panic_of(|| Router::new().route(veltix::PING, || {}));
    assert!(place.starts_with(&format!("{}:{}:", file!(), LINE + 1)), "{place}");
    assert!(text.contains("ping(0)") && text.contains("never reach a handler"), "{text}");
}
