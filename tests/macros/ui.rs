//! What the compiler says, and accepts, about `#[veltix::message]`.
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
