//! The log: what goes to stderr, and in which form; the record that a request's line is written from; metrics, and
//! samples of them.

mod log;
pub mod metrics;
pub mod record;
pub mod samples;

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use self::log::{JsonLines, LogWriter, lost_as_json, lost_as_text};
use crate::config::LogFormat;

pub use self::log::{Flush, RequestLine};

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// Begins to log to stderr, filtered by `RUST_LOG` (default `info`; a filter that can't be read counts as none). Keep what
/// it gives until the process ends: what has gathered by then is written when it is dropped.
///
/// Does nothing if the process logs already, so that several servers of one process can call it.
pub fn init(format: LogFormat) -> Option<Flush> {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let json = is_json(format, terminal);
    // Without a thread there is no server either, which will say why.
    let lines = LogWriter::to(std::io::stderr(), terminal, if json { lost_as_json } else { lost_as_text }).ok()?;
    // The filter decides once for each place that logs, not for each line.
    let registry = registry().with(filter);
    let first = if json {
        registry.with(JsonLines(lines.clone())).try_init()
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let words = fmt::layer().with_writer(lines.clone()).with_ansi(terminal && !plain);
        // It would report a line that can't be formatted on stderr, past the lines.
        registry.with(words.log_internal_errors(false)).try_init()
    };
    let flush = lines.flushed_at_the_end();
    // An error means that someone was faster: that log is as good.
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
    fn a_second_call_does_no_harm() {
        let first = init(LogFormat::Json);
        assert!(init(LogFormat::Text).is_none());
        drop(first);
    }
}
