//! Environment variables.

use std::collections::HashMap;

/// Environment variables by name: a map, so that tests do not change those of the process.
pub type Environment = HashMap<String, String>;

/// The value of `name`; an empty one counts as unset.
pub(super) fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}
