//! petstream as in production: keys, limits of every kind (which nobody reaches), accounting, metrics, a log.

use std::fmt::Write;
use std::process::Command;

use tempfile::TempDir;

use super::{Gateway, free_address, listening, spawn};
use crate::Done;
use crate::events::Shop;
use crate::workload::MODEL;

/// Every limit that there is, too high to be reached; streams at once not above the connections that there may be, which
/// petstream warns of.
const LIMITS: &str = "{requests_per_minute: 1000000000, tokens_per_minute: 1000000000000, concurrent_streams: 20000}";

pub(super) fn start(folder: TempDir, program: &str, upstream: &str, keys: &[String]) -> Done<Gateway> {
    let address = free_address()?;
    std::fs::write(folder.path().join("petstream.yaml"), configuration(&address, upstream, keys)?)?;
    let mut child = spawn(&mut Command::new(program), &folder)?;
    let listening = listening(&address, &mut child);
    let shop = Shop::petstream(&keys[0]);
    let gateway = Gateway { address, shop: Some(shop), child: Some(child), stop: None, folder };
    listening.map_err(|failure| format!("{failure}\n{}", gateway.log()))?;
    Ok(gateway)
}

fn configuration(address: &str, upstream: &str, keys: &[String]) -> Done<String> {
    let mut text = format!(
        "listen: {address}\nauth: keys\nlog_format: json\nmetrics: {{listen: {}}}\n\
         limits: {{total: {LIMITS}, per_key: {LIMITS}}}\n\
         models:\n  - name: {MODEL}\n    upstreams:\n      - base_url: http://{upstream}/v1\n        api_key: sk-upstream\n\
         keys:\n",
        free_address()?
    );
    for (index, key) in keys.iter().enumerate() {
        writeln!(text, "  - {{name: bench-{index}, key: {key}}}")?;
    }
    Ok(text)
}
