//! Plain closures that change or give away what they capture, and an async one whose capture is not `Clone`.

use veltix::{MessageType, Router};

const OTHER: MessageType = MessageType::new(204, "other", "");

struct Token;

fn main() {
    let mut count = 0;
    let _: Router = Router::new().route(OTHER, move || count += 1);
    let token = String::new();
    let _: Router = Router::new().route(OTHER, move || drop(token));
    let token = Token;
    let _: Router = Router::new().route(OTHER, async move || drop(token));
}
