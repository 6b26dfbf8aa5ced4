//! Resources that all keys share: one key can't exhaust them.

mod computations;
mod pets;
mod slow;
mod uploads;

/// Two keys, in YAML.
const KEYS: &str = "keys: [{name: one, key: sk-one-0123456789}, {name: other, key: sk-other-0123456789}]\n";
const ONE: &str = "sk-one-0123456789";
const OTHER: &str = "sk-other-0123456789";
