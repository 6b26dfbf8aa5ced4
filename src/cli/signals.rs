//! The signals of the server: TERM, INT and QUIT, which all end it, and HUP, which reloads the configuration.
//!
//! The first one that ends it begins the shutdown. Signals often arrive twice (a terminal sends INT to the whole process group, and
//! a process manager may forward it again), so one within a second of the first counts as the same. A later one ends
//! the drain at once. HUP stays ignored if the process was started with it ignored, as by `nohup`.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// A signal that arrives sooner than this after the first one is a duplicate.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(1);
/// Number of SIGHUP, the same on every Unix.
const HUP_NUMBER: u32 = 1;
/// The name of the signal that reloads the configuration.
pub(super) const HUP: &str = "HUP";

/// The handlers of these signals.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
    /// None: the process was started with it ignored.
    hup: Option<Signal>,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn catch() -> std::io::Result<Self> {
        // Read before the handlers change it.
        let hup_ignored = is_ignored(HUP_NUMBER);
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hup: if hup_ignored { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for a signal; returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        let hup = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.term.recv() => "TERM",
            _ = self.int.recv() => "INT",
            _ = self.quit.recv() => "QUIT",
            _ = hup => HUP,
        }
    }

    /// Waits for a signal that is not a duplicate of the one that arrived at `first`.
    pub(super) async fn next_after(&mut self, first: Instant) -> &'static str {
        loop {
            let name = self.next().await;
            if name == HUP {
                tracing::info!("no reload: the server is shutting down");
                continue;
            }
            if first.elapsed() >= DUPLICATE_WINDOW {
                return name;
            }
            tracing::info!(signal = name, "the same signal again; one after more than a second ends at once");
        }
    }
}

/// Whether this process was started with a signal ignored. Known on Linux only; false elsewhere.
fn is_ignored(number: u32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, number))
}

/// Whether the signal is ignored by `status`, the text of `/proc/PID/status`.
fn ignores(status: &str, number: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (number - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tpetstream\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t00\n";
        assert!(ignores(status, HUP_NUMBER) && ignores(status, 13));
        assert!(!ignores(status, 2) && !ignores("Name:\tx\n", HUP_NUMBER) && !ignores("SigIgn:\tx\n", HUP_NUMBER));
    }
}
