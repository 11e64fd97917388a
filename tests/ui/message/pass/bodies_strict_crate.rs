//! A crate that denies all warnings gets none from the code around bodies.

#![deny(
    warnings,
    unused,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations
)]
#![deny(unreachable_pub, unused_qualifications, unnameable_types, unused_results)]
#![deny(single_use_lifetimes, unused_lifetimes, elided_lifetimes_in_paths, let_underscore_drop)]
#![deny(non_local_definitions, unused_import_braces, unused_macro_rules, variant_size_differences)]
#![forbid(unsafe_code)]

/// A module.
mod inner {
    #[veltix::message]
    pub(super) enum Visible {
        #[message(code = 200)]
        Say { text: String },
        #[message(code = 201)]
        Typing,
        #[message(code = 202, latest = "0")]
        Level(u8),
    }

    #[veltix::message]
    enum Unused {
        #[deprecated]
        #[message(code = 200, max = 10, reply = Quiet)]
        Ask { text: String, #[serde(skip)] unwritten: u8 },
        #[message(code = 201)]
        Quiet,
        #[message(code = 202, text)]
        Text(String),
    }
}

/// The messages of the application.
#[veltix::message]
#[derive(Debug)]
#[non_exhaustive]
pub enum Chat<T>
where
    T: Clone,
{
    /// A line of chat.
    #[message(code = 200)]
    Say {
        /// The sender.
        from: String,
        /// The text.
        words: T,
    },
    /// Somebody types.
    #[message(code = 201)]
    Typing,
    /// A picture.
    #[message(code = 202, raw)]
    Picture(Vec<u8>),
    /// Numbers.
    #[message(code = 203)]
    #[serde(transparent)]
    Numbers(Vec<T>),
}

fn main() {
    let said = Chat::<u8>::from(Say { from: String::new(), words: 1 });
    let visible = inner::Visible::Say { text: String::new() };
    assert_eq!(said.code(), visible.code());
}
