//! Small sources that break each rule, and others that keep them.

use super::Source;
use super::file_rules::{file_violations, top_violations};
use super::layers::{Layers, layer_violations, layers};

const LIB: &str = "\
//! | layer | module | contents |
//! |---|---|---|
//! | 8 | `main.rs`, `cli/` | command line |
//! | 5 | [`middleware`], [`completion`] | layers |
//! | 3 | [`petstore`] | pets |
//! | 2 | [`store`] | the database |
//! | 0 | [`wire`] | data |
";

fn table() -> Layers {
    layers(LIB)
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn directions(path: &str, text: &str) -> Vec<String> {
    layer_violations(&source(path, text), &table())
}

#[test]
fn the_table_is_read() {
    let expected =
        [("cli", 8), ("completion", 5), ("main", 8), ("middleware", 5), ("petstore", 3), ("store", 2), ("wire", 0)];
    assert!(table().iter().map(|(module, layer)| (module.as_str(), *layer)).eq(expected));
}

#[test]
fn lower_layers_and_the_own_module_may_be_imported() {
    let good = [
        (
            "src/completion/plain.rs",
            "use crate::store::Store; use crate::completion::Relay; use super::open; use super::super::completion;",
        ),
        (
            "src/completion/mod.rs",
            "use crate::{store::{self, x}, wire};\nmod tests { use super::*; use crate::petstore::Pet; }",
        ),
        ("src/petstore/mod.rs", "use crate::store::Store;"),
        ("src/cli/mod.rs", "use crate::cli::serve; use petstream::completion::Relay; use super::x;"),
        (
            "src/wire/mod.rs",
            "// use crate::completion::Relay;\n/* crate::completion /* crate::middleware */ */ const X: &str = \"crate::completion\";",
        ),
        (
            "src/wire/mod.rs",
            "/// See [`crate::completion`].\nconst X: &str = r#\"\"crate::completion\"#; const Y: char = '\"'; fn f<'a>() {}",
        ),
    ];
    for (path, text) in good {
        assert_eq!(directions(path, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn imports_of_the_same_or_a_higher_layer_are_found() {
    let bad = [
        (
            "src/store/mod.rs",
            "use crate::completion::Relay;",
            "src/store/mod.rs:1: store imports completion, which is in a higher layer",
        ),
        (
            "src/completion/x.rs",
            "\nuse crate::middleware::X;",
            "src/completion/x.rs:2: completion imports middleware, which is in the same layer",
        ),
        (
            "src/store.rs",
            "use crate::petstore::X;",
            "src/store.rs:1: store imports petstore, which is in a higher layer",
        ),
        (
            "src/wire/x.rs",
            "fn f() { crate::store::g() }",
            "src/wire/x.rs:1: wire imports store, which is in a higher layer",
        ),
        (
            "src/wire/x.rs",
            "const C: char = '\\'';\nuse crate::{wire::y, completion::{z}};",
            "src/wire/x.rs:2: wire imports completion, which is in a higher layer",
        ),
        (
            "src/wire/x.rs",
            "#[cfg(test)]\nmod tests { use crate::completion; }",
            "src/wire/x.rs:2: wire imports completion, which is in a higher layer",
        ),
        (
            "src/wire/mod.rs",
            "use super::completion::Relay;",
            "src/wire/mod.rs:1: wire imports completion, which is in a higher layer",
        ),
        (
            "src/wire/x.rs",
            "use super::super::completion;",
            "src/wire/x.rs:1: wire imports completion, which is in a higher layer",
        ),
        (
            "src/wire/mod.rs",
            "mod tests { use super::super::completion; }",
            "src/wire/mod.rs:1: wire imports completion, which is in a higher layer",
        ),
        (
            "src/completion/x.rs",
            "use crate::*;",
            "src/completion/x.rs:1: completion imports *, which is not in the table of src/lib.rs",
        ),
        ("src/attic.rs", "", "src/attic.rs: the module attic is not in the table of src/lib.rs"),
    ];
    for (path, text, expected) in bad {
        assert_eq!(directions(path, text), [expected], "{text}");
    }
}

#[test]
fn broken_rules_of_files_are_found() {
    let long = "//! Long.\n".repeat(401);
    let bad = [
        ("src/completion/utils.rs", "//! X.", "src/completion/utils.rs: utils does not say what is inside"),
        ("src/common/x.rs", "//! X.", "src/common/x.rs: common does not say what is inside"),
        ("src/key_manager.rs", "//! X.", "src/key_manager.rs: manager does not say what is inside"),
        ("src/x.rs", "use a;", "src/x.rs: does not begin with //! and the purpose of the file"),
        ("src/x.rs", "", "src/x.rs: does not begin with //! and the purpose of the file"),
        ("src/x.rs", &long, "src/x.rs: 401 lines, more than 400"),
        ("src/x.rs", "//! X.\n#[allow(dead_code)]\nfn f() {}", "src/x.rs:2: an allow without a reason"),
        ("src/x.rs", "//! X.\n#![allow(\n    clippy::all,\n)]", "src/x.rs:2: an allow without a reason"),
        ("src/x.rs", "//! X.\n#[allow(dead_code)] // reason = \"none\"\n", "src/x.rs:2: an allow without a reason"),
    ];
    for (path, text, expected) in bad {
        assert_eq!(file_violations(&source(path, text)), [expected], "{text}");
    }
    let good = "//! X.\n#[allow(dead_code, reason = \"shown [here]\")]\nfn allow() { allow(1) } // #[allow(x)]\n";
    assert_eq!(file_violations(&source("src/completion/manage.rs", good)), Vec::<String>::new());
}

#[test]
fn unexpected_files_at_the_top_are_found() {
    let paths = ["Cargo.toml", ".gitignore", ".ci/run", "src/lib.rs", "notes.txt", "scripts/x.sh", "scripts/y.sh"];
    let expected = ["notes.txt", "scripts"].map(|top| format!("{top}: is not expected at the top of the repository"));
    assert_eq!(top_violations(paths), expected);
}
