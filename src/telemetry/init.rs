//! Starts the log of the process.

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::log::{Flush, JsonLines, LogWriter, lost_as_json, lost_as_text};
use crate::config::LogFormat;

/// The filter without `RUST_LOG`.
const DEFAULT_FILTER: &str = "info";

/// Begins to log to stderr, filtered by `RUST_LOG` (default `info`, also for a filter that can't be parsed). Keep the
/// guard until the process ends: pending lines are written when it is dropped.
///
/// Returns none, and changes nothing, if the process has a log already or no thread for it can be started.
pub fn init(format: LogFormat) -> Option<Flush> {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let json = is_json(format, terminal);
    // Without threads the server can't start either, and reports why.
    let writer = LogWriter::to(std::io::stderr(), terminal, if json { lost_as_json } else { lost_as_text }).ok()?;
    // As a layer of the whole registry, the filter is evaluated once for each call site.
    let registry = registry().with(filter);
    let first = if json {
        registry.with(JsonLines(writer.clone())).try_init()
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let text = fmt::layer().with_writer(writer.clone()).with_ansi(terminal && !plain);
        // Internal errors would go to stderr directly, between the writer's lines.
        registry.with(text.log_internal_errors(false)).try_init()
    };
    let flush = writer.flush_on_drop();
    // An error means that there is a subscriber already.
    first.is_ok().then_some(flush)
}

const fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_text_on_a_terminal_only() {
        assert!(is_json(LogFormat::Auto, false) && !is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Json, true) && !is_json(LogFormat::Text, false));
    }

    #[test]
    fn a_second_call_changes_nothing() {
        let first = init(LogFormat::Json);
        assert!(init(LogFormat::Text).is_none());
        drop(first);
    }
}
