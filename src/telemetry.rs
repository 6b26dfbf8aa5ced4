//! The log: what goes to stderr, and in which form; the record that a request's line is written from; metrics, and
//! samples of them.

pub mod metrics;
pub mod record;
pub mod samples;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::config::LogFormat;

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// Begins to log to stderr, filtered by `RUST_LOG` (default `info`; a filter that can't be read counts as none).
///
/// Does nothing if the process logs already, so that several servers of one process can call it.
pub fn init(format: LogFormat) {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = SubscriberBuilder::default()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would report a closed stderr on stderr, and panic.
        .log_internal_errors(false);
    // An error means that someone was faster: that log is as good.
    let _ = if is_json(format, terminal) {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        builder.with_ansi(terminal && !plain).try_init()
    };
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
    fn a_second_call_does_no_harm() {
        init(LogFormat::Json);
        init(LogFormat::Text);
    }
}
