//! The reading of a file's text for `fuzz/`, without a file.

use std::path::PathBuf;

use super::load::from_text;
use super::walk::Walk;
use super::{Config, ConfigError, Environment};

/// The configuration that `text` writes, and everything that is wrong with it.
#[must_use]
pub fn read(text: &str, environment: &Environment) -> (Config, Vec<ConfigError>) {
    let mut walk = Walk::new("petstream.yaml".to_owned(), PathBuf::new());
    let (config, _) = from_text(text, environment, &mut walk);
    (config, walk.errors)
}
