//! A crate that denies all warnings gets none from the generated code.

#![deny(
    warnings,
    unused,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations
)]
#![deny(unreachable_pub, unused_qualifications, unnameable_types, unused_results)]
#![forbid(unsafe_code)]

/// A module.
mod inner {
    #[veltix::message]
    pub(super) enum Visible {
        Chat = 200,
    }

    #[veltix::message]
    enum Unused {
        #[deprecated]
        Chat = 200,
    }
}

/// The messages of the application.
#[veltix::message]
pub enum App {
    /// A line of chat.
    Chat = 200,
}

fn main() {
    assert_eq!(inner::Visible::Chat.code(), App::Chat.code());
}
