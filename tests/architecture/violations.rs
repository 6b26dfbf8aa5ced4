//! Made-up sources that break each rule: the checks find them, and nothing else.

use super::{Floors, Source, floor_violations, floors, habit_violations, top_violations};

const LIB: &str = "\
//! | floor | room | what lives there |
//! |---|---|---|
//! | 8 | `main.rs`, `cli/` | command line |
//! | 5 | [`layer`], [`relay`] | layers |
//! | 2 | [`petstore`], [`store`] | pets |
//! | 0 | [`wire`] | data |
";

fn table() -> Floors {
    floors(LIB)
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn directions(path: &str, text: &str) -> Vec<String> {
    floor_violations(&source(path, text), &table())
}

#[test]
fn the_table_is_read() {
    let expected = [("cli", 8), ("layer", 5), ("main", 8), ("petstore", 2), ("relay", 5), ("store", 2), ("wire", 0)];
    assert!(table().iter().map(|(room, floor)| (room.as_str(), *floor)).eq(expected));
}

#[test]
fn lower_floors_and_the_own_room_may_be_imported() {
    let good = [
        (
            "src/relay/plain.rs",
            "use crate::store::Store; use crate::relay::Relay; use super::open; use super::super::relay;",
        ),
        (
            "src/relay/mod.rs",
            "use crate::{store::{self, x}, wire};\nmod tests { use super::*; use crate::petstore::Pet; }",
        ),
        ("src/petstore/mod.rs", "use crate::store::Store;"),
        ("src/cli/mod.rs", "use crate::cli::serve; use petstream::relay::Relay; use super::x;"),
        (
            "src/wire/mod.rs",
            "// use crate::relay::Relay;\n/* crate::relay /* crate::layer */ */ const X: &str = \"crate::relay\";",
        ),
        (
            "src/wire/mod.rs",
            "/// See [`crate::relay`].\nconst X: &str = r#\"\"crate::relay\"#; const Y: char = '\"'; fn f<'a>() {}",
        ),
    ];
    for (path, text) in good {
        assert_eq!(directions(path, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_goes_up_or_sideways_is_found() {
    let bad = [
        (
            "src/store/mod.rs",
            "use crate::relay::Relay;",
            "src/store/mod.rs:1: store imports relay, which is on a higher floor",
        ),
        (
            "src/relay/x.rs",
            "\nuse crate::layer::X;",
            "src/relay/x.rs:2: relay imports layer, which is on the same floor",
        ),
        (
            "src/store.rs",
            "use crate::petstore::X;",
            "src/store.rs:1: store imports petstore, which is on the same floor",
        ),
        (
            "src/wire/x.rs",
            "fn f() { crate::store::g() }",
            "src/wire/x.rs:1: wire imports store, which is on a higher floor",
        ),
        (
            "src/wire/x.rs",
            "const C: char = '\\'';\nuse crate::{wire::y, relay::{z}};",
            "src/wire/x.rs:2: wire imports relay, which is on a higher floor",
        ),
        (
            "src/wire/x.rs",
            "#[cfg(test)]\nmod tests { use crate::relay; }",
            "src/wire/x.rs:2: wire imports relay, which is on a higher floor",
        ),
        (
            "src/wire/mod.rs",
            "use super::relay::Relay;",
            "src/wire/mod.rs:1: wire imports relay, which is on a higher floor",
        ),
        (
            "src/wire/x.rs",
            "use super::super::relay;",
            "src/wire/x.rs:1: wire imports relay, which is on a higher floor",
        ),
        (
            "src/wire/mod.rs",
            "mod tests { use super::super::relay; }",
            "src/wire/mod.rs:1: wire imports relay, which is on a higher floor",
        ),
        (
            "src/relay/x.rs",
            "use crate::*;",
            "src/relay/x.rs:1: relay imports *, which is not in the table of src/lib.rs",
        ),
        ("src/attic.rs", "", "src/attic.rs: the room attic is not in the table of src/lib.rs"),
    ];
    for (path, text, expected) in bad {
        assert_eq!(directions(path, text), [expected], "{text}");
    }
}

#[test]
fn broken_habits_are_found() {
    let long = "//! Long.\n".repeat(401);
    let bad = [
        ("src/relay/utils.rs", "//! X.", "src/relay/utils.rs: utils says nothing of what is inside"),
        ("src/common/x.rs", "//! X.", "src/common/x.rs: common says nothing of what is inside"),
        ("src/key_manager.rs", "//! X.", "src/key_manager.rs: manager says nothing of what is inside"),
        ("src/x.rs", "use a;", "src/x.rs: does not begin with //!, which says what the file is for"),
        ("src/x.rs", "", "src/x.rs: does not begin with //!, which says what the file is for"),
        ("src/x.rs", &long, "src/x.rs: 401 lines, more than 400"),
        ("src/x.rs", "//! X.\n#[allow(dead_code)]\nfn f() {}", "src/x.rs:2: an allow without its reason"),
        ("src/x.rs", "//! X.\n#![allow(\n    clippy::all,\n)]", "src/x.rs:2: an allow without its reason"),
        ("src/x.rs", "//! X.\n#[allow(dead_code)] // reason = \"none\"\n", "src/x.rs:2: an allow without its reason"),
    ];
    for (path, text, expected) in bad {
        assert_eq!(habit_violations(&source(path, text)), [expected], "{text}");
    }
    let good = "//! X.\n#[allow(dead_code, reason = \"shown [here]\")]\nfn allow() { allow(1) } // #[allow(x)]\n";
    assert_eq!(habit_violations(&source("src/relay/manage.rs", good)), Vec::<String>::new());
}

#[test]
fn strangers_at_the_top_are_found() {
    let paths = ["Cargo.toml", ".gitignore", ".ci/run", "src/lib.rs", "notes.txt", "scripts/x.sh", "scripts/y.sh"];
    let expected = ["notes.txt", "scripts"].map(|top| format!("{top}: does not belong at the top of the repository"));
    assert_eq!(top_violations(paths), expected);
}
