//! The layers of modules: the table in the documentation of `src/lib.rs`, and whether imports go to lower layers.

use std::collections::BTreeMap;

use super::Source;
use super::tokens::{Token, tokens};

/// The layer of each module, from the table in `src/lib.rs`.
pub(super) type Layers = BTreeMap<String, u32>;

/// Reads the rows of the table: `//! | 5 | [`middleware`], [`completion`] | … |`.
pub(super) fn layers(lib: &str) -> Layers {
    let mut layers = Layers::new();
    for line in lib.lines() {
        let Some(row) = line.strip_prefix("//! |") else { continue };
        let mut cells = row.split('|').map(str::trim);
        let (Some(layer), Some(modules)) = (cells.next(), cells.next()) else { continue };
        let Ok(layer) = layer.parse() else { continue };
        // Names stand between backticks.
        for name in modules.split('`').skip(1).step_by(2) {
            let module = name.trim_end_matches('/').trim_end_matches(".rs");
            layers.insert(module.to_owned(), layer);
        }
    }
    layers
}

/// The path of the module that a file under `src/` is: `src/http/codec/mod.rs` is `[http, codec]`.
fn module(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// The imports of `source` that do not go to a lower layer.
pub(super) fn layer_violations(source: &Source, layers: &Layers) -> Vec<String> {
    if source.path == "src/lib.rs" {
        return Vec::new();
    }
    let module = module(&source.path);
    let own = module[0].as_str();
    let Some(layer) = layers.get(own) else {
        return vec![format!("{}: the module {own} is not in the table of src/lib.rs", source.path)];
    };
    // The binary is a crate of its own: its `crate` is itself, and the library is `petstream`.
    let binary = matches!(own, "main" | "cli");
    let root = if binary { "petstream" } else { "crate" };
    let mut found = Vec::new();
    for (line, other) in imports(&tokens(&source.text), &module, root) {
        let place = format!("{}:{line}", source.path);
        match layers.get(&other) {
            _ if other == own => {}
            Some(lower) if lower < layer => {}
            Some(same) if same == layer => {
                found.push(format!("{place}: {own} imports {other}, which is in the same layer"));
            }
            Some(_) => found.push(format!("{place}: {own} imports {other}, which is in a higher layer")),
            None => found.push(format!("{place}: {own} imports {other}, which is not in the table of src/lib.rs")),
        }
    }
    found
}

/// The top-level modules that a file names, with the lines: in paths from `root`, and in paths of `super` that reach
/// the root.
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
                // In the binary, the root holds only its own modules.
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

/// The names after `::`: one, or the first names of each path of a group in braces.
fn heads(tokens: &[(usize, Token)], at: usize) -> Vec<String> {
    if !is_path(tokens, at) {
        return Vec::new();
    }
    let name = |at: usize| match tokens.get(at).map(|(_, token)| token) {
        Some(Token::Ident(name)) => Some(name.clone()),
        // A glob imports all modules: it is reported as a module that does not exist.
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
