//! Servers of other projects as child processes: PostgreSQL, Redis and PgBouncer, of Debian's packages.

pub mod pgbouncer;
pub mod postgres;
pub mod redis;
mod supervisor;
mod user;

use std::path::Path;
use std::time::Duration;

use crate::soon;
use supervisor::Job;

pub use supervisor::is_running;

/// Waits until the log of a server says from byte `begin` on that it is ready. Panics when the server ends before.
async fn ready(job: &Job, log: &Path, begin: usize, words: &str) {
    let said = async {
        loop {
            let running = job.is_running();
            let text = tokio::fs::read(log).await.unwrap_or_default();
            let text = String::from_utf8_lossy(text.get(begin..).unwrap_or_default()).into_owned();
            if text.contains(words) {
                return;
            }
            assert!(running, "the server has ended: {text}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon("a server to be ready", said).await;
}
