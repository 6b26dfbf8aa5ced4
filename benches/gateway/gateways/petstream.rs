//! petstream as in production: keys, every kind of limit (none is reached), usage records, metrics and a log.

use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::gateway::{Gateway, free_address, spawn};
use crate::event_api::EventApi;
use crate::result::Result;
use crate::surface::{MODEL, NATIVE_MODEL};
use crate::tls::{CERTIFICATE_FILE, Certificate, KEY_FILE};

/// All limits, too high to be reached. `concurrent_streams` stays below the connection limit: petstream warns
/// otherwise.
const LIMITS: &str = "{requests_per_minute: 1000000000, tokens_per_minute: 1000000000000, concurrent_streams: 20000}";

pub(super) fn start(
    folder: TempDir,
    program: &str,
    (upstream, state): (&str, &str),
    keys: &[String],
    certificate: Option<&Certificate>,
) -> Result<Gateway> {
    let address = free_address()?;
    let mut text = configuration(&address, upstream, keys)? + state;
    if certificate.is_some() {
        writeln!(text, "tls: {{cert: {CERTIFICATE_FILE}, key: {KEY_FILE}}}")?;
    }
    std::fs::write(folder.path().join("petstream.yaml"), text)?;
    let began = Instant::now();
    let child = spawn(&mut Command::new(program), &folder)?;
    let event_api = EventApi::petstream(&keys[0]);
    let mut gateway = Gateway::started(address, certificate, folder, child);
    gateway.event_api = Some(event_api);
    gateway.when_ready(began)
}

fn configuration(address: &str, upstream: &str, keys: &[String]) -> Result<String> {
    let mut text = format!(
        "listen: {address}\nauth: keys\nlog_format: json\nmetrics: {{listen: {}}}\n\
         limits: {{total: {LIMITS}, per_key: {LIMITS}}}\n\
         models:\n  - name: {MODEL}\n    upstreams:\n      - base_url: http://{upstream}/v1\n        api_key: sk-upstream\n\
         \x20 - name: {NATIVE_MODEL}\n    upstreams:\n      - base_url: http://{upstream}/v1\n        \
         apis: [responses, messages]\n        api_key: sk-upstream\n\
         keys:\n",
        free_address()?
    );
    for (index, key) in keys.iter().enumerate() {
        writeln!(text, "  - {{name: bench-{index}, key: {key}}}")?;
    }
    Ok(text)
}
