//! The entry point of the fuzz target in `fuzz/`: reads the text of a file without a file.

use std::path::PathBuf;

use super::environment::Environment;
use super::error::ConfigError;
use super::load::from_text;
use super::settings::Config;
use super::walk::Walk;

/// The configuration of `text`, and its errors.
#[must_use]
pub fn read(text: &str, environment: &Environment) -> (Config, Vec<ConfigError>) {
    let mut walk = Walk::new("petstream.yaml".to_owned(), PathBuf::new());
    let (config, _) = from_text(text, environment, &mut walk);
    (config, walk.errors)
}
