//! Configuration files: reading never panics, every error has a line of the file, and none contains a secret.

use petstream::config::fuzzing::read;
use petstream::config::{Environment, Origin};

const SECRET: &str = "this-is-never-printed-0123456789";

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    let (config, errors) = read(text, &environment);
    // YAML's line ends are CR, LF and CR LF; the last counts twice here, which only makes the bound larger.
    let lines = text.split(['\r', '\n']).count() as u64;
    for error in &errors {
        let Origin::File { line: Some(line), .. } = error.origin else { panic!("no line: {error}") };
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {error}");
        assert!(!error.to_string().contains(SECRET), "a secret is printed: {error}");
    }
    assert!(!format!("{config:?}").contains(SECRET), "a secret is printed");
}
