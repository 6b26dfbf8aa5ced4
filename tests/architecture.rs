//! The architecture, checked: which room imports which, and the habits that a glance at a file can tell.
//!
//! The floors are those of the table in `src/lib.rs`: what is written there is what holds.
#![cfg(test)]

#[path = "architecture/tokens.rs"]
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokens::{Token, tokens};

/// Rooms of one floor do not import each other, but for these: the first may import the second.
const BELOW: &[(&str, &str)] = &[("petstore", "store")];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "managers", "inner", "misc"];

/// More lines than this want a second file.
const MAX_LINES: usize = 400;

/// What may stand at the top of the repository, beside files whose names begin with a dot.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "docs",
    "fixtures",
    "fuzz",
    "package-lock.json",
    "package.json",
    "rustfmt.toml",
    "src",
    "tests",
];

/// A file of Rust, and its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

/// Room -> floor, as the table in the crate's documentation has them.
type Floors = BTreeMap<String, u32>;

/// Reads the table's rows: `//! | 5 | [`layer`], [`relay`] | … |`.
fn floors(lib: &str) -> Floors {
    let mut floors = Floors::new();
    for line in lib.lines() {
        let Some(row) = line.strip_prefix("//! |") else { continue };
        let mut cells = row.split('|').map(str::trim);
        let (Some(floor), Some(rooms)) = (cells.next(), cells.next()) else { continue };
        let Ok(floor) = floor.parse() else { continue };
        // Names stand between backticks.
        for name in rooms.split('`').skip(1).step_by(2) {
            let room = name.trim_end_matches('/').trim_end_matches(".rs");
            floors.insert(room.to_owned(), floor);
        }
    }
    floors
}

/// The module that a file under `src/` is: `src/relay/plain.rs` is `[relay, plain]`.
fn module(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// What is wrong with the directions of the imports of `source`.
fn floor_violations(source: &Source, floors: &Floors) -> Vec<String> {
    if source.path == "src/lib.rs" {
        return Vec::new();
    }
    let module = module(&source.path);
    let room = module[0].as_str();
    let Some(floor) = floors.get(room) else {
        return vec![format!("{}: the room {room} is not in the table of src/lib.rs", source.path)];
    };
    // The binary is a crate of its own: its `crate` is itself, and the library is `petstream`.
    let binary = matches!(room, "main" | "cli");
    let root = if binary { "petstream" } else { "crate" };
    let mut found = Vec::new();
    for (line, other) in imports(&tokens(&source.text), &module, root) {
        let place = format!("{}:{line}", source.path);
        match floors.get(&other) {
            _ if other == room => {}
            Some(lower) if lower < floor => {}
            Some(_) if BELOW.contains(&(room, other.as_str())) => {}
            Some(same) if same == floor => {
                found.push(format!("{place}: {room} imports {other}, which is on the same floor"));
            }
            Some(_) => found.push(format!("{place}: {room} imports {other}, which is on a higher floor")),
            None => found.push(format!("{place}: {room} imports {other}, which is not in the table of src/lib.rs")),
        }
    }
    found
}

/// The rooms that a file names, with the lines: in paths from `root`, and in `super`s that climb out of the room.
fn imports(tokens: &[(usize, Token)], module: &[String], root: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut braces, mut inline) = (0_usize, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let (line, token) = &tokens[at];
        match token {
            Token::Punct('{') => {
                braces += 1;
                let is_module = at >= 2 && tokens[at - 2].1.is("mod") && tokens[at - 1].1.ident().is_some();
                if is_module {
                    inline.push(braces);
                }
            }
            Token::Punct('}') => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            Token::Ident(name) if name == root => {
                found.extend(heads(tokens, at + 1).into_iter().map(|head| (*line, head)));
            }
            Token::Ident(name) if name == "super" => {
                let mut depth = module.len() + inline.len() - 1;
                while is_path(tokens, at + 1) && tokens.get(at + 3).is_some_and(|(_, token)| token.is("super")) {
                    depth = depth.saturating_sub(1);
                    at += 3;
                }
                // Above the binary's own modules there is only the binary.
                if depth == 0 && root == "crate" {
                    found.extend(heads(tokens, at + 1).into_iter().map(|head| (*line, head)));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_path(tokens: &[(usize, Token)], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some((_, Token::Punct(':'))));
    colon(at) && colon(at + 1)
}

/// The names that follow `::`: one, or those of a group in braces.
fn heads(tokens: &[(usize, Token)], at: usize) -> Vec<String> {
    if !is_path(tokens, at) {
        return Vec::new();
    }
    let name = |at: usize| match tokens.get(at).map(|(_, token)| token) {
        Some(Token::Ident(name)) => Some(name.clone()),
        // A glob takes everything: it names no room that there is.
        Some(Token::Punct('*')) => Some("*".to_owned()),
        _ => None,
    };
    if !matches!(tokens.get(at + 2), Some((_, Token::Punct('{')))) {
        return name(at + 2).into_iter().collect();
    }
    let (mut heads, mut depth, mut at, mut begins) = (Vec::new(), 1, at + 3, true);
    while let Some((_, token)) = tokens.get(at).filter(|_| depth > 0) {
        match token {
            Token::Punct('{') => depth += 1,
            Token::Punct('}') => depth -= 1,
            Token::Punct(',') if depth == 1 => begins = true,
            _ if begins => {
                heads.extend(name(at));
                begins = false;
            }
            _ => {}
        }
        at += 1;
    }
    heads
}

/// What is wrong with `source` that has nothing to do with other files.
fn habit_violations(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut found = Vec::new();
    let words = path.trim_end_matches(".rs").split(['/', '_']);
    for word in words.filter(|word| EMPTY_NAMES.contains(word)) {
        found.push(format!("{path}: {word} says nothing of what is inside"));
    }
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{path}: {lines} lines, more than {MAX_LINES}"));
    }
    if !source.text.starts_with("//!") {
        found.push(format!("{path}: does not begin with //!, which says what the file is for"));
    }
    let tokens = tokens(&source.text);
    for (at, (line, token)) in tokens.iter().enumerate() {
        if token.is("allow") && is_attribute(&tokens, at) && !has_reason(&tokens[at..]) {
            found.push(format!("{path}:{line}: an allow without its reason"));
        }
    }
    found
}

/// Whether the name at `at` begins an attribute: `#[name` or `#![name`.
fn is_attribute(tokens: &[(usize, Token)], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).map(|at| &tokens[at].1);
    before(1) == Some(&Token::Punct('['))
        && (before(2) == Some(&Token::Punct('#')) || before(3) == Some(&Token::Punct('#')))
}

fn has_reason(attribute: &[(usize, Token)]) -> bool {
    let inside = attribute.iter().map(|(_, token)| token).take_while(|token| **token != Token::Punct(']'));
    inside.into_iter().any(|token| token.is("reason"))
}

/// What does not belong at the top of the repository, among the paths of all files.
fn top_violations<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut tops: Vec<&str> = paths.into_iter().map(|path| path.split('/').next().unwrap_or(path)).collect();
    tops.sort_unstable();
    tops.dedup();
    let strange = tops.into_iter().filter(|top| !top.starts_with('.') && !TOP.contains(top));
    strange.map(|top| format!("{top}: does not belong at the top of the repository")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of Rust under `folder`.
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
fn imports_go_down() {
    let sources = sources("src");
    let lib = sources.iter().find(|source| source.path == "src/lib.rs").unwrap();
    let floors = floors(&lib.text);
    assert!(floors.len() > 10, "the table of src/lib.rs could not be read: {floors:?}");
    let violations: Vec<_> = sources.iter().flat_map(|source| floor_violations(source, &floors)).collect();
    assert_none(&violations);
}

#[test]
fn every_room_of_the_table_is_there() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for room in floors(&lib).keys() {
        let (file, folder) = (root().join(format!("src/{room}.rs")), root().join(format!("src/{room}")));
        assert!(file.exists() || folder.is_dir(), "the table of src/lib.rs has a room {room}, and there is none");
    }
}

#[test]
fn files_keep_the_habits() {
    let all = ["src", "tests", "fuzz/src"].into_iter().flat_map(sources);
    let violations: Vec<_> = all.flat_map(|source| habit_violations(&source)).collect();
    assert_none(&violations);
}

#[test]
fn the_top_of_the_repository_is_tidy() {
    if !root().join(".git").exists() {
        // An archive of the sources: nobody can tell what belongs to it.
        return;
    }
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|path| path == "Cargo.toml"), "no files: {listed:?}");
    assert_none(&top_violations(listed.lines()));
}

#[path = "architecture/violations.rs"]
mod violations;
