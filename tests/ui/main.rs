//! The compiler's messages for wrong uses of the macros, and correct uses that compile.
//!
//! After a change of a text: `TRYBUILD=overwrite cargo test --package veltix-ui-tests`, then read
//! the difference from the point of view of a user.

use std::path::Path;

/// R34: codes that collide, or that are reserved, do not compile.
const CODES: [&str; 6] = [
    "bodies_codes",
    "bodies_conditional_duplicate",
    "code_too_high",
    "conditional_duplicate",
    "duplicate_code",
    "reserved_code",
];

#[test]
fn r34_codes_are_checked_by_the_compiler_as_is_all_of_the_message_attribute() {
    for case in CODES {
        let case = Path::new("message/fail").join(case).with_extension("rs");
        assert!(case.exists(), "{}", case.display());
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("message/fail/*.rs");
    if !cfg!(feature = "postcard") {
        cases.compile_fail("message/fail_without_features/*.rs");
    }
    cases.pass("message/pass/*.rs");
}

#[test]
fn handlers() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("handler/fail/*.rs");
    cases.pass("handler/pass/*.rs");
}

#[test]
fn debug_handler_attribute() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("debug_handler/fail/*.rs");
    cases.pass("debug_handler/pass/*.rs");
}

#[test]
fn functions_that_authenticate() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("authenticate/fail/*.rs");
    cases.pass("authenticate/pass/*.rs");
}
