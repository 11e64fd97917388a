//! Import cycles that are planted in small crates: the check finds each, and names the files.

use veltix_house::house::House;
use veltix_house::rooms;
use veltix_house::structure::{file_cycles, imports_from_roof, room_cycles};

/// A crate `veltix-planted` of these files.
fn house(files: &[(&str, &str)]) -> House {
    let paths: Vec<_> =
        files.iter().map(|(path, _)| format!("veltix-planted/src/{path}")).collect();
    let files: Vec<_> =
        paths.iter().zip(files).map(|(path, (_, text))| (path.as_str(), *text)).collect();
    House::of(&files)
}

/// All imports, as lines.
fn lines(files: &[(&str, &str)]) -> Vec<String> {
    let house = house(files);
    let found = &house.imports()[0];
    assert_eq!(found.problems, [""; 0]);
    rooms::lines(&found.imports)
}

/// Asserts that the check finds one cycle, and names all of `imports`.
#[track_caller]
fn assert_cycle(files: &[(&str, &str)], imports: &[&str]) {
    let problems = room_cycles(&house(files));
    assert_eq!(problems.len(), 1, "{problems:?}");
    for import in imports {
        assert!(problems[0].contains(import), "no {import} in: {}", problems[0]);
    }
}

#[test]
fn use_trees() {
    assert_cycle(
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod x;"),
            ("a/x.rs", "use crate::{b::{self as other, Name as Renamed}}; pub struct Back;"),
            ("b.rs", "use crate::a::x::Back; pub struct Name;"),
        ],
        &["a/x.rs -> b.rs: Name, b", "b.rs -> a/x.rs: Back"],
    );
}

#[test]
fn qualified_paths() {
    assert_cycle(
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub fn back() -> crate::b::Name { crate::b::Name }"),
            ("b.rs", "pub struct Name; pub fn f() { super::a::back(); }"),
        ],
        &["a.rs -> b.rs: Name", "b.rs -> a.rs: back"],
    );
}

#[test]
fn paths_by_an_imported_module() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b; pub fn f() -> b::deep::Thing { b::deep::Thing }"),
        ("b/mod.rs", "pub mod deep;"),
        ("b/deep.rs", "pub struct Thing;"),
    ];
    assert_eq!(lines(&files), ["a.rs -> b/deep.rs: Thing", "a.rs -> b/mod.rs: b"]);
}

#[test]
fn reexports_of_the_roof_lead_to_the_file_that_defines() {
    assert_cycle(
        &[
            ("lib.rs", "mod a; mod b; pub use b::*; pub use a::Other as Public;"),
            ("a/mod.rs", "mod deep; pub use deep::Other; use crate::Name;"),
            ("a/deep.rs", "pub struct Other;"),
            ("b/mod.rs", "mod x; pub use self::x::Name;"),
            ("b/x.rs", "use crate::Public; pub struct Name;"),
        ],
        &["a/mod.rs -> b/x.rs: Name", "b/x.rs -> a/deep.rs: Other"],
    );
}

#[test]
fn private_imports_of_a_parent_lead_to_the_file_that_defines() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod x; use crate::b::Name; fn f(_: Name) {}"),
        ("a/x.rs", "use super::Name;"),
        ("b.rs", "pub struct Name;"),
    ];
    assert_eq!(lines(&files), ["a/mod.rs -> b.rs: Name", "a/x.rs -> b.rs: Name"]);
}

#[test]
fn paths_by_super() {
    assert_cycle(
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod x; pub struct Back;"),
            ("a/x.rs", "fn f() { super::super::b::g() }"),
            ("b.rs", "use super::a::Back; pub fn g() {}"),
        ],
        &["a/x.rs -> b.rs: g", "b.rs -> a/mod.rs: Back"],
    );
}

#[test]
fn paths_in_macros() {
    assert_cycle(
        &[
            ("lib.rs", "#[macro_use] mod a; mod b;"),
            ("a.rs", "macro_rules! m { ($x:expr) => { $crate::b::call($x) } }"),
            ("b.rs", "pub fn call(_: ()) {} fn f() { select! { x = crate::a::y() => {} } }"),
        ],
        &["a.rs -> b.rs: call", "b.rs -> a.rs: y"],
    );
}

#[test]
fn uses_in_functions_and_their_globs() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "fn f() { use crate::b::inner; inner::g(); use super::c::*; h(); }"),
        ("b.rs", "pub mod inner { pub fn g() {} }"),
        ("c.rs", "mod deep; pub use deep::h;"),
        ("c/deep.rs", "pub fn h() {}"),
    ];
    assert_eq!(
        lines(&files),
        [
            "a.rs -> b.rs: g, inner",
            "a.rs -> c.rs: c",
            "a.rs -> c/deep.rs: h",
            "c.rs -> c/deep.rs: h"
        ]
    );
}

#[test]
fn test_code_is_exempt() {
    let files = [
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod kit;"),
        (
            "a.rs",
            "pub struct Back;
             #[cfg(test)] use crate::b::Name;
             #[cfg(all(test, not(shuttle)))] mod tests { use crate::b::Name; }
             #[test] fn works() { crate::b::Name; }
             impl Back { #[cfg(test)] fn new() { crate::b::Name; } }
             fn f() { #[cfg(test)] crate::b::call(); #[cfg(test)] { crate::b::call(); } }",
        ),
        ("b.rs", "#[cfg(test)] mod tests; use crate::a::Back; pub struct Name; fn f(_: Back) {}"),
        ("b/tests/mod.rs", "mod more; use crate::a::Back;"),
        ("b/tests/more.rs", "use crate::kit::Kit;"),
        ("kit.rs", "use crate::a::Back; use crate::b::Name; pub struct Kit;"),
    ];
    assert_eq!(lines(&files), ["b.rs -> a.rs: Back"]);
    assert_eq!(room_cycles(&house(&files)), [""; 0]);
}

#[test]
fn declaring_a_module_is_no_import() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod x; pub struct Item;"),
        ("a/x.rs", "use super::Item;"),
    ];
    assert_eq!(lines(&files), ["a/x.rs -> a/mod.rs: Item"]);
}

#[test]
fn names_of_other_crates_are_no_imports() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "use std::fmt; use other::b::Name; use ::b::X; fn f() -> fmt::Result { other::f() }",
        ),
        ("b.rs", "pub(in crate::b) struct Name;"),
    ];
    assert_eq!(lines(&files), [""; 0]);
}

#[test]
fn conditions_give_one_name_to_two_files() {
    let files = [
        ("lib.rs", "mod a; mod tls;"),
        ("a.rs", "use crate::tls::Dial;"),
        (
            "tls/mod.rs",
            "#[cfg(x)] mod client; #[cfg(not(x))] mod absent;
             #[cfg(x)] pub use client::Dial; #[cfg(not(x))] pub use absent::Dial;",
        ),
        ("tls/client.rs", "pub struct Dial;"),
        ("tls/absent.rs", "pub struct Dial;"),
    ];
    assert_eq!(lines(&files)[..2], ["a.rs -> tls/absent.rs: Dial", "a.rs -> tls/client.rs: Dial"]);
}

#[test]
fn rooms_that_import_from_the_roof_are_named() {
    let problems = imports_from_roof(&house(&[
        ("lib.rs", "mod a; mod b; pub use b::Fine; use other::limits; struct Here;"),
        (
            "a.rs",
            "use crate::limits::MOST; use crate::{Fine, Here}; fn f() { crate::made_by_a_macro() }",
        ),
        ("b.rs", "pub struct Fine;"),
    ]));
    assert_eq!(
        problems,
        [
            "veltix-planted/src: a.rs -> lib.rs: Here, made_by_a_macro",
            "veltix-planted/src: a.rs -> another crate by way of the roof: limits",
        ]
    );
}

#[test]
fn files_that_no_module_declares_are_named() {
    let problems = room_cycles(&house(&[("lib.rs", "mod gone;"), ("left.rs", "")]));
    assert_eq!(
        problems,
        [
            "veltix-planted/src/lib.rs: no file for `mod gone;`",
            "veltix-planted/src/left.rs: no module declares this file",
        ]
    );
}

#[test]
fn cycles_of_files_are_found_within_a_room() {
    let house = House::of(&[
        ("veltix-core/src/lib.rs", "mod tags;"),
        (
            "veltix-core/src/tags/mod.rs",
            "mod plan; mod store; pub use store::Store; pub struct Id;",
        ),
        ("veltix-core/src/tags/plan.rs", "use super::{Id, store::Entry}; pub struct Plan;"),
        (
            "veltix-core/src/tags/store.rs",
            "use super::plan::Plan; pub struct Entry; pub struct Store;",
        ),
    ]);
    let problems = file_cycles(&house);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("cycle of 2 files: tags/plan.rs, tags/store.rs"), "{problems:?}");
    assert!(problems[0].contains("tags/plan.rs -> tags/store.rs: Entry"), "{problems:?}");
}

#[test]
fn few_arrows_break_all_cycles() {
    let house = house(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::{b::B, b::B2, c::C}; pub struct A;"),
        ("b.rs", "use crate::{c::C, c::C2}; pub struct B; pub struct B2;"),
        ("c.rs", "use crate::a::A; use crate::d::D; pub struct C; pub struct C2;"),
        ("d.rs", "pub struct D;"),
    ]);
    let graph = rooms::graph(&house.imports()[0]);
    let cycles = graph.cycles();
    assert_eq!(cycles.len(), 1);
    assert_eq!(graph.to_cut(&cycles[0]), [("c", "a")]);
    assert_eq!(graph.layers(), [vec!["a", "b", "c"], vec!["d"]]);
}
