//! The log: what goes to stderr, and in which form; the record that a request's line is written from; metrics, and
//! samples of them.

mod log;
pub mod metrics;
pub mod record;
pub mod samples;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use self::log::{JsonLines, Lines};
use crate::config::LogFormat;

pub use self::log::Flush;

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// Begins to log to stderr, filtered by `RUST_LOG` (default `info`; a filter that can't be read counts as none). Keep what
/// it gives until the process ends: what has gathered by then is written when it is dropped.
///
/// Does nothing if the process logs already, so that several servers of one process can call it.
pub fn init(format: LogFormat) -> Option<Flush> {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // Without a thread there is no server either, which will say why.
    let lines = Lines::to(std::io::stderr(), terminal).ok()?;
    let builder = SubscriberBuilder::default()
        .with_env_filter(filter)
        .with_writer(lines.clone())
        // It would report a closed stderr on stderr, and panic.
        .log_internal_errors(false);
    let first = if is_json(format, terminal) {
        builder.event_format(JsonLines).try_init()
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        builder.with_ansi(terminal && !plain).try_init()
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
