//! What the compiler says, and accepts, about the macros.
//!
//! After a change of a text: `TRYBUILD=overwrite cargo test --test integration macros`, then read
//! the difference as a user would.

#[test]
fn message_attribute() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/message/fail/*.rs");
    if !cfg!(feature = "postcard") {
        cases.compile_fail("tests/ui/message/fail_without_features/*.rs");
    }
    cases.pass("tests/ui/message/pass/*.rs");
}

#[test]
fn debug_handler_attribute() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/debug_handler/fail/*.rs");
    cases.pass("tests/ui/debug_handler/pass/*.rs");
}
