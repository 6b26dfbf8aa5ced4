//! Authentication: `auth`.

use std::time::Duration;

use super::duration::duration_between;
use super::error::Origin;
use super::settings::Auth;
use super::value::choice;
use super::walk::{Section, Walk};
use super::yaml::Value;

/// What `auth` has, without defaults.
#[derive(Default)]
pub(super) struct AuthSettings {
    pub(super) mode: Option<Auth>,
    pub(super) cache: Option<Duration>,
}

/// Reads `auth`: a mode, or `mode` and `cache`; also returns its position.
pub(super) fn auth(walk: &mut Walk, root: &mut Section) -> (AuthSettings, Origin) {
    const MODES: &[(&str, Auth)] = &[("keys", Auth::Keys), ("none", Auth::None)];
    let Some(field) = walk.take(root, "auth") else { return (AuthSettings::default(), walk.origin(0)) };
    let origin = walk.origin(field.node.line);
    if !matches!(field.node.value, Value::Map(_)) {
        return (AuthSettings { mode: walk.check(&field, choice(MODES)), cache: None }, origin);
    }
    let mut section = walk.section("auth", Some(field));
    let mode = walk.read(&mut section, "mode", choice(MODES));
    let cache = walk.read(&mut section, "cache", duration_between(Duration::ZERO, Duration::from_secs(24 * 60 * 60)));
    walk.finish(section);
    (AuthSettings { mode, cache }, origin)
}
