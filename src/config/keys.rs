//! The section `keys`, and the keys of `PETSTREAM_API_KEY`.

use jiff::Timestamp;

use crate::wire::api_key::{CertificateName, KeyHash, Scope, Scopes};

use super::error::{ConfigError, Origin};
use super::limits::{RateLimits, rates};
use super::models::MAX_MODEL_LEN;
use super::secret::{self, Found, SecretFile, SecretSetting};
use super::value::{moment, name};
use super::walk::{Field, Section, Walk, join, nearest};
use super::yaml::Value;

/// Longest name of a key, characters.
const MAX_NAME_LEN: usize = 64;

/// A key from the file or the environment. Only the hash of its secret is kept.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Unique name: in logs, usage records and limits.
    pub name: String,
    /// SHA-256 of the secret; of a key that is only a certificate, [`KeyHash::of_certificate`].
    pub hash: KeyHash,
    /// The name in the certificate of a client that stands for the key, if the key has a secret besides.
    pub certificate: Option<KeyHash>,
    /// The file of the secret, which is reloaded when it changes; none: the secret is in the configuration itself.
    pub file: Option<SecretFile>,
    /// When it expires. Default: never.
    pub expires_at: Option<Timestamp>,
    /// The models that it may use. Default: all.
    pub models: Option<Vec<String>>,
    /// Its scopes. Default: all but `stats`; keys from the environment: all.
    pub scopes: Scopes,
    /// Its own rate limits; those that are not set are taken from `limits.per_key`.
    pub limits: RateLimits,
}

/// Reads `keys`.
pub(super) fn keys(walk: &mut Walk, root: &mut Section) -> Vec<KeyConfig> {
    let mut keys: Vec<KeyConfig> = Vec::new();
    // Where each was read: errors show no name, which may be the value of a variable.
    let mut places: Vec<String> = Vec::new();
    for field in walk.list(root, "keys", "").unwrap_or_default() {
        let (path, line) = (field.path.clone(), field.node.line);
        let Some(key) = key(walk, field) else { continue };
        if let Some((other, problem)) = clash(&keys, &key) {
            walk.error(&path, line, format!("{} has {problem}", places[other]));
        }
        keys.push(key);
        places.push(path);
    }
    keys
}

/// The index of a key that has the name or the secret of `key` already, and what it has.
fn clash(keys: &[KeyConfig], key: &KeyConfig) -> Option<(usize, &'static str)> {
    let find = |same: &dyn Fn(&KeyConfig) -> bool| keys.iter().position(same);
    if let Some(other) = find(&|other| other.name == key.name) {
        return Some((other, "the same name; choose another name"));
    }
    if let Some(other) = find(&|other| other.hash == key.hash) {
        return Some((other, "the same secret; choose another"));
    }
    let has = |other: &KeyConfig, hash| other.hash == hash || other.certificate == Some(hash);
    let other = find(&|other| key.certificate.is_some_and(|hash| has(other, hash)) || has(other, key.hash))?;
    Some((other, "the same certificate; choose another"))
}

fn key(walk: &mut Walk, field: Field) -> Option<KeyConfig> {
    let path = field.path.clone();
    let mut section = walk.section(&path, Some(field));
    let name = walk.require(&mut section, "name", name(MAX_NAME_LEN));
    let certificate = walk.read(&mut section, "certificate", certificate);
    let secret = hash(walk, &mut section, certificate.is_some());
    let expires_at = walk.read(&mut section, "expires", moment);
    let models = models(walk, &mut section);
    let scopes = scopes(walk, &mut section);
    let own = walk.take(&mut section, "limits");
    let limits = rates(walk, &join(&path, "limits"), own);
    walk.finish(section);
    let certificate = certificate.as_ref().map(KeyHash::of_certificate);
    let (hash, file) = secret.or_else(|| Some((certificate?, None)))?;
    let certificate = certificate.filter(|other| *other != hash);
    Some(KeyConfig { name: name?, hash, certificate, file, expires_at, models, scopes, limits })
}

/// Parses a name in a certificate: a DNS name or a URI, as it is written there.
fn certificate(value: &Value) -> Result<CertificateName, String> {
    let fits = |text: &&str| (1..=2_048).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = value.as_text().filter(fits).ok_or("a DNS name or URI of a certificate, such as spiffe://prod/shop")?;
    Ok(CertificateName::parse(text))
}

/// The hash of the secret, and the file of the secret if there is one.
fn hash(walk: &mut Walk, section: &mut Section, has_certificate: bool) -> Option<(KeyHash, Option<SecretFile>)> {
    let outcome = secret::read(walk, section, "key", "key_file");
    let given = walk.take(section, "key_sha256");
    match (outcome, given) {
        (SecretSetting::Found(Found { file, text, path, line }), None) => match secret::check_key_length(&text) {
            Ok(()) => Some((KeyHash::of(&text), file)),
            Err(problem) => {
                walk.error(&path, line, problem);
                None
            }
        },
        (SecretSetting::Absent, Some(field)) => {
            let hash = field.node.value.as_text().and_then(KeyHash::from_hex);
            if hash.is_none() && !matches!(field.node.value, Value::Invalid) {
                // The value is not shown: it may be the secret itself.
                walk.error(&field.path, field.node.line, "expected the SHA-256 of the secret as 64 hexadecimal digits");
            }
            hash.map(|hash| (hash, None))
        }
        (SecretSetting::Found(Found { path, line, .. }), Some(_)) => {
            walk.error(&path, line, "key_sha256 is set too; keep one of them");
            None
        }
        (SecretSetting::Absent, None) => {
            if section.is_open() && !has_certificate {
                let problem = "the key has no secret; set key, key_file, key_sha256 or certificate";
                walk.error(&section.path, section.line, problem);
            }
            None
        }
        (SecretSetting::Reported, _) => None,
    }
}

fn models(walk: &mut Walk, section: &mut Section) -> Option<Vec<String>> {
    let fields = walk.list(section, "models", "the list is empty; leave it out to allow all models")?;
    Some(fields.iter().filter_map(|field| walk.check(field, name(MAX_MODEL_LEN))).collect())
}

fn scopes(walk: &mut Walk, section: &mut Section) -> Scopes {
    let fields = walk.list(section, "scopes", "the list is empty; leave it out for all scopes but stats");
    let Some(fields) = fields else { return Scopes::default() };
    fields.iter().filter_map(|field| walk.check(field, scope)).collect()
}

fn scope(value: &Value) -> Result<Scope, String> {
    let text = value.as_text().unwrap_or_default();
    Scope::from_name(text).ok_or_else(|| {
        let names = Scope::ALL.map(Scope::name);
        match nearest(text, &names) {
            Some(near) => format!("one of {} (did you mean {near}?)", names.join(", ")),
            None => format!("one of {}", names.join(", ")),
        }
    })
}

/// Adds the comma-separated keys of `PETSTREAM_API_KEY`, named `env-1`, `env-2`, …, with all scopes.
pub(super) fn from_environment(list: &str, keys: &mut Vec<KeyConfig>, errors: &mut Vec<ConfigError>) {
    let configured = keys.len();
    let secrets = list.split(',').map(str::trim).filter(|secret| !secret.is_empty());
    for (index, text) in secrets.enumerate() {
        let key = KeyConfig {
            name: format!("env-{}", index + 1),
            hash: KeyHash::of(text),
            certificate: None,
            file: None,
            expires_at: None,
            models: None,
            scopes: Scopes::ALL,
            limits: RateLimits::default(),
        };
        let checked = secret::check_characters(text).and_then(|()| secret::check_key_length(text));
        let clash = clash(keys, &key).map(|(other, problem)| match &keys[other].name {
            name if other >= configured => format!("{name} has {problem}"),
            _ => format!("a key of the configuration file has {problem}"),
        });
        let problem = checked.err().or(clash);
        match problem {
            Some(problem) => errors.push(ConfigError {
                path: "PETSTREAM_API_KEY".to_owned(),
                problem: format!("key {}: {problem}", index + 1),
                origin: Origin::Environment,
            }),
            None => keys.push(key),
        }
    }
}
