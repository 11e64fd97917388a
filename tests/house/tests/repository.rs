//! The checks on this repository.

use std::path::Path;
use std::sync::LazyLock;

use veltix_house::house::House;
use veltix_house::{Check, examples, prose, structure, surface, words};

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    House::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")))
        .expect("this repository is readable")
});

#[track_caller]
fn holds(check: Check) {
    let problems = check(&HOUSE);
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn all_crates_are_found() {
    let crates = HOUSE.repository.crates();
    for folder in
        ["src", "veltix-core/src", "veltix-macros/src", "veltix-tokio/src", "benches/load/src"]
    {
        assert!(crates.iter().any(|found| found == folder), "no {folder} in {crates:?}");
    }
}

#[test]
fn imports_between_rooms_run_one_way() {
    holds(structure::room_cycles);
}

#[test]
fn imports_within_clean_rooms_run_one_way() {
    holds(structure::file_cycles);
}

#[test]
fn no_room_imports_from_the_roof() {
    holds(structure::imports_from_roof);
}

#[test]
fn rooms_are_few_and_small_and_have_rows() {
    holds(structure::rooms_of_tokio);
}

#[test]
fn no_file_is_too_long() {
    holds(structure::long_files);
}

#[test]
fn the_facade_exports_few_names() {
    holds(surface::problems);
}

#[test]
fn doc_examples_name_the_facade() {
    holds(examples::problems);
}

#[test]
fn replaced_names_do_not_come_back() {
    holds(words::problems);
}

#[test]
fn sentences_begin_with_a_noun() {
    holds(prose::over_limit);
}
