//! The architecture, checked: the layers of modules, cycles between files, and rules for single files.
//!
//! The layers are those of the table in `src/lib.rs`.
#![cfg(test)]

mod file_cycles;
mod file_cycles_tests;
mod file_rules;
mod layers;
mod references;
mod rule_tests;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::Command;

use file_cycles::{Crates, ModulePath, cycles, describe};
use file_rules::{file_violations, top_violations};
use layers::{layer_violations, layers};

/// A Rust file, with its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

/// The module that a file of `src` or `benches` is. Its first name is that of the crate: the library, the binary, or a
/// benchmark.
fn module_path(path: &str) -> ModulePath {
    let (crate_name, below) = match path.split_once('/') {
        Some(("src", "lib.rs")) => ("petstream", ""),
        Some(("src", "main.rs")) => ("the binary", ""),
        Some(("src", below)) if below.starts_with("cli") => ("the binary", below),
        Some(("src", below)) => ("petstream", below),
        Some(("benches", below)) => match below.split_once('/') {
            Some((name, "main.rs")) => (name, ""),
            Some((name, below)) => (name, below),
            None => (below.trim_end_matches(".rs"), ""),
        },
        _ => panic!("{path} is neither in src nor in benches"),
    };
    let below = below.trim_end_matches(".rs");
    let below = below.strip_suffix("/mod").unwrap_or(below);
    let modules = below.split('/').filter(|name| !name.is_empty());
    std::iter::once(crate_name).chain(modules).map(str::to_owned).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files under `folder`.
fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let source = |path: PathBuf| Source {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(source).collect()
}

#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn imports_go_to_lower_layers() {
    let sources = sources("src");
    let lib = sources.iter().find(|source| source.path == "src/lib.rs").unwrap();
    let layers = layers(&lib.text);
    assert!(layers.len() > 10, "the table of src/lib.rs could not be read: {layers:?}");
    let violations: Vec<_> = sources.iter().flat_map(|source| layer_violations(source, &layers)).collect();
    assert_none(&violations);
}

#[test]
fn every_module_of_the_table_exists() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for module in layers(&lib).keys() {
        let (file, folder) = (root().join(format!("src/{module}.rs")), root().join(format!("src/{module}")));
        assert!(file.exists() || folder.is_dir(), "the table of src/lib.rs lists {module}, which does not exist");
    }
}

#[test]
fn files_keep_the_rules() {
    let all = ["src", "tests", "fuzz/src"].into_iter().flat_map(sources);
    let violations: Vec<_> = all.flat_map(|source| file_violations(&source)).collect();
    assert_none(&violations);
}

#[test]
fn the_top_of_the_repository_is_tidy() {
    if !root().join(".git").exists() {
        // An archive of the sources, where git can't list the files of the repository.
        return;
    }
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|path| path == "Cargo.toml"), "no files: {listed:?}");
    assert_none(&top_violations(listed.lines()));
}

#[test]
fn no_files_depend_on_each_other_in_a_cycle() {
    let sources: Vec<_> = ["src", "benches"].into_iter().flat_map(sources).collect();
    let mut crates = Crates::default();
    sources.iter().for_each(|source| crates.add(&module_path(&source.path), &source.path, &source.text));
    let dependencies = crates.dependencies();
    assert!(dependencies.len() > sources.len() / 2, "few dependencies were read: {}", dependencies.len());
    let cycles = cycles(&dependencies);
    assert_none(&cycles.iter().map(|cycle| describe(cycle, &dependencies)).collect::<Vec<_>>());
}
