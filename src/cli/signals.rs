//! The signals that end the server: TERM, INT, QUIT and HUP, all of which mean the same.
//!
//! The first one begins the shutdown. Process managers, shells and people deliver doubles (a terminal sends INT to the whole
//! group, and so does whoever started it), so one that follows within a second is the same signal. A later one ends the
//! drain at once. HUP stays ignored where the server was started with it ignored, as `nohup` does.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// Signals closer than this to the first one are the same signal.
const SAME: Duration = Duration::from_secs(1);
/// Number of HUP, on every Unix.
const HUP: u32 = 1;

/// See the module.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
    /// None: ignored.
    hup: Option<Signal>,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn catch() -> std::io::Result<Self> {
        // Looked at before anything is caught.
        let hup_ignored = is_ignored(HUP);
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hup: if hup_ignored { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for one of them; gives its name.
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
            _ = hup => "HUP",
        }
    }

    /// Waits for one that is not the same as that of `first`, the moment of the first one.
    pub(super) async fn next_other(&mut self, first: Instant) -> &'static str {
        loop {
            let name = self.next().await;
            if first.elapsed() >= SAME {
                return name;
            }
            tracing::info!(signal = name, "the same signal again; one after more than a second ends at once");
        }
    }
}

/// Whether this process was started with a signal ignored. Linux says; elsewhere: no.
fn is_ignored(number: u32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, number))
}

/// Whether `status`, the text of `/proc/PID/status`, tells that the signal is ignored.
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
        assert!(ignores(status, HUP) && ignores(status, 13));
        assert!(!ignores(status, 2) && !ignores("Name:\tx\n", HUP) && !ignores("SigIgn:\tx\n", HUP));
    }
}
