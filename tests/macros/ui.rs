//! What the compiler says, and accepts, about `#[veltix::message]`.
//!
//! After a change of a text: `TRYBUILD=overwrite cargo test --test main macros::ui`, then read the
//! difference as a user would.

#[test]
fn message_attribute() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/message/fail/*.rs");
    cases.pass("tests/ui/message/pass/*.rs");
}
