//! The facade may be found elsewhere than at `::veltix`.

extern crate veltix as messaging;

mod vendor {
    pub use veltix;
}

#[veltix::message(crate = crate::vendor::veltix)]
enum App {
    Chat = 200,
}

#[messaging::message(crate = ::messaging)]
enum Other {
    Chat = 200,
}

fn main() {
    assert_eq!(App::Chat.code(), Other::Chat.code());
}
