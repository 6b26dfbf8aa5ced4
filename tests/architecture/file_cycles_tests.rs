//! Small crates with and without cycles between files.

use super::file_cycles::{Crates, cycles, describe};
use super::module_path;

/// The cycles among these files, as lists of paths.
fn cycles_among(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let mut crates = Crates::default();
    for (path, text) in files {
        crates.add(&module_path(path), path, text);
    }
    let dependencies = crates.dependencies();
    cycles(&dependencies).into_iter().map(|cycle| cycle.into_iter().map(str::to_owned).collect()).collect()
}

const ROOT: (&str, &str) = ("src/lib.rs", "mod a; mod b;");

#[track_caller]
fn assert_cycle(files: &[(&str, &str)]) {
    assert_eq!(cycles_among(files), [["src/a.rs", "src/b.rs"]]);
}

#[track_caller]
fn assert_no_cycle(files: &[(&str, &str)]) {
    assert_eq!(cycles_among(files), Vec::<Vec<String>>::new());
}

#[test]
fn two_files_that_import_each_other_are_a_cycle() {
    assert_cycle(&[
        ROOT,
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        ("src/b.rs", "use crate::a::A; pub struct B;"),
    ]);
    assert_no_cycle(&[ROOT, ("src/a.rs", "use crate::b::B; pub struct A;"), ("src/b.rs", "pub struct B;")]);
}

#[test]
fn a_path_in_code_counts_as_an_import_does() {
    assert_cycle(&[
        ROOT,
        ("src/a.rs", "pub fn f(b: crate::b::B) {} pub struct A;"),
        ("src/b.rs", "pub struct B; impl B { fn f(&self) { let x = crate::a::A; } }"),
    ]);
    assert_cycle(&[
        ROOT,
        ("src/a.rs", "use crate::b; pub fn f() { b::g() }"),
        ("src/b.rs", "pub fn g() { use crate::a::f; f() }"),
    ]);
}

#[test]
fn a_cycle_of_three_files_is_one_group() {
    let files = [
        ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
        ("src/a.rs", "use crate::b::B; pub struct A;"),
        ("src/b.rs", "use crate::c::C; pub struct B;"),
        ("src/c.rs", "use crate::a::A; pub struct C;"),
        ("src/d.rs", "use crate::a::A;"),
    ];
    assert_eq!(cycles_among(&files), [["src/a.rs", "src/b.rs", "src/c.rs"]]);
}

#[test]
fn a_reexport_leads_to_the_file_that_defines_the_item() {
    // a takes B from the root, which re-exports it.
    assert_cycle(&[
        ("src/lib.rs", "mod a; mod b; pub use b::B; pub use a::A as Renamed;"),
        ("src/a.rs", "use crate::B; pub struct A;"),
        ("src/b.rs", "use crate::Renamed; pub struct B;"),
    ]);
    // The module's own file defines nothing, so that nothing depends on it.
    assert_no_cycle(&[
        ("src/lib.rs", "mod m;"),
        ("src/m/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("src/m/a.rs", "use super::B; pub struct A;"),
        ("src/m/b.rs", "pub struct B;"),
    ]);
}

#[test]
fn a_child_and_its_parent_are_a_cycle_when_both_take_items() {
    let parent = "mod child; use child::Part; pub struct Whole(Part);";
    let files = [("src/lib.rs", "mod m;"), ("src/m/mod.rs", parent)];
    let with_child = |text| [files[0], files[1], ("src/m/child.rs", text)];
    let cycle = [["src/m/child.rs", "src/m/mod.rs"]];
    assert_eq!(cycles_among(&with_child("use super::Whole; pub struct Part;")), cycle);
    assert_eq!(cycles_among(&with_child("pub struct Part; fn f(_: super::Whole) {}")), cycle);
    assert_no_cycle(&with_child("pub struct Part;"));
}

#[test]
fn a_glob_counts_for_the_names_that_are_used() {
    let b = ("src/b.rs", "use crate::a::A; pub struct B;");
    assert_cycle(&[ROOT, ("src/a.rs", "use crate::b::*; pub struct A(B);"), b]);
    assert_cycle(&[("src/lib.rs", "mod a; mod b; pub use b::*;"), ("src/a.rs", "use crate::B; pub struct A;"), b]);
    assert_no_cycle(&[ROOT, ("src/a.rs", "use crate::b::*; pub struct A(String);"), b]);
}

#[test]
fn inline_modules_belong_to_their_file() {
    assert_cycle(&[
        ROOT,
        ("src/a.rs", "pub mod inner { use super::super::b::B; pub struct A; }"),
        ("src/b.rs", "use crate::a::inner::A; pub struct B;"),
    ]);
    assert_no_cycle(&[ROOT, ("src/a.rs", "struct A; mod inner { use super::A; }"), ("src/b.rs", "")]);
}

#[test]
fn what_is_for_tests_only_does_not_count() {
    let b = ("src/b.rs", "use crate::a::A; pub struct B;");
    for a in [
        "pub struct A; #[cfg(test)] use crate::b::B;",
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; #[cfg(all(test, unix))] fn f(_: crate::b::B) {}",
        "pub struct A; #[test] fn f() { crate::b::B; }",
        "pub struct A; impl A { #[cfg(test)] fn f(_: crate::b::B) {} }",
    ] {
        assert_no_cycle(&[ROOT, ("src/a.rs", a), b]);
    }
    assert_cycle(&[ROOT, ("src/a.rs", "pub struct A; #[cfg(not(test))] use crate::b::B;"), b]);
    // Files of a module for tests may be a cycle.
    assert_no_cycle(&[
        ("src/lib.rs", "#[cfg(test)] mod tests;"),
        ("src/tests/mod.rs", "mod x; use x::X; pub struct Y;"),
        ("src/tests/x.rs", "use super::Y; pub struct X;"),
    ]);
}

#[test]
fn the_path_of_a_visibility_does_not_count() {
    assert_no_cycle(&[
        ("src/lib.rs", "mod m;"),
        ("src/m/mod.rs", "mod child; use child::Part; pub struct Whole;"),
        ("src/m/child.rs", "pub(in crate::m) struct Part { pub(super) x: u8 } impl Part { pub(super) fn f() {} }"),
    ]);
}

#[test]
fn paths_in_macros_count() {
    let b = ("src/b.rs", "use crate::a::A; pub struct B;");
    assert_cycle(&[ROOT, ("src/a.rs", "pub struct A; fn f() { println!(\"{}\", crate::b::B::new()); }"), b]);
    assert_cycle(&[ROOT, ("src/a.rs", "pub struct A; select! { x = [crate::b::B] => {} }"), b]);
    assert_no_cycle(&[ROOT, ("src/a.rs", "pub struct A; fn f() { println!(\"crate::b::B\"); }"), b]);
}

#[test]
fn a_variable_with_the_name_of_a_module_is_no_dependency() {
    assert_no_cycle(&[
        ("src/lib.rs", "mod m;"),
        ("src/m/mod.rs", "mod child; pub struct Whole; fn f(child: u8) -> u8 { child }"),
        ("src/m/child.rs", "use super::Whole;"),
    ]);
    assert_no_cycle(&[
        ("benches/gateway/main.rs", "mod a; use a::A; struct Shared;"),
        ("benches/gateway/a.rs", "pub struct A; fn f(gateway: u8) -> u8 { gateway }"),
    ]);
}

#[test]
fn the_binary_depends_on_the_library_by_its_name() {
    let mut crates = Crates::default();
    let files = [
        ("src/lib.rs", "pub mod app;"),
        ("src/app.rs", "pub fn start() {}"),
        ("src/main.rs", "mod cli;"),
        ("src/cli/mod.rs", "use petstream::app::start;"),
    ];
    files.iter().for_each(|(path, text)| crates.add(&module_path(path), path, text));
    let dependencies = crates.dependencies();
    assert!(dependencies["src/cli/mod.rs"].iter().eq(&["src/app.rs"]));
}

#[test]
fn a_cycle_is_described_with_its_dependencies() {
    let mut crates = Crates::default();
    for (path, text) in
        [ROOT, ("src/a.rs", "use crate::b::B; pub struct A;"), ("src/b.rs", "use crate::a::A; pub struct B;")]
    {
        crates.add(&module_path(path), path, text);
    }
    let dependencies = crates.dependencies();
    let text = describe(&["src/a.rs", "src/b.rs"], &dependencies);
    assert_eq!(text, "2 files depend on each other:\n  src/a.rs -> src/b.rs\n  src/b.rs -> src/a.rs");
}
