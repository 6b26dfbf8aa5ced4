//! Collects lines of the log and writes them on a thread of its own, so that no request waits for stderr.
//!
//! The lines of 50 ms go out in one write; a warning or an error is written at once. Lines can be lost in these cases:
//!
//! - The process is killed (`kill -9`): the lines of the last 50 ms.
//! - The reader of stderr stops, or writing fails: lines that find the buffer of 1 MiB full, and lines whose write
//!   failed. A warning with their number replaces them, as soon as it can be written; no filter applies to it.
//! - The process ends while stderr is not read: what is unread after a second.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::stderr_sink::StderrSink;

/// How long lines are collected before they are written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Most bytes that wait to be written; further lines are lost.
const MAX_PENDING: usize = 1 << 20;
/// More bytes than this are written at once: a busy server could fill the buffer within the interval.
const FLUSH_THRESHOLD: usize = MAX_PENDING / 4;
/// How long the end of the process waits for the last lines to be written.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes lines of the log; clones share the buffer and the thread.
#[derive(Clone)]
pub(in crate::telemetry) struct LogWriter {
    shared: Arc<Shared>,
    /// Every line is written at once, for a terminal.
    unbuffered: bool,
}

struct Shared {
    // std Mutex: held to add a line or to take all, never during a write.
    pending: Mutex<Pending>,
    /// Wakes the thread.
    changed: Condvar,
    /// Notified when the thread has written everything and ends.
    finished: Condvar,
}

#[derive(Default)]
struct Pending {
    text: Vec<u8>,
    /// Lines after those in `text` that found the buffer full.
    lost: u64,
    /// The text is to be written before the interval ends.
    urgent: bool,
    ending: bool,
    finished: bool,
}

/// Writes all pending lines when it is dropped, at the end of the process.
#[must_use]
pub struct Flush(LogWriter);

impl LogWriter {
    /// Starts the thread, which writes to `out`. `lost` formats the line that stands for so many lost lines, with the
    /// reason.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub(in crate::telemetry) fn to(
        out: impl Write + Send + 'static,
        unbuffered: bool,
        lost: fn(u64, &str) -> Vec<u8>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { pending: Mutex::default(), changed: Condvar::new(), finished: Condvar::new() });
        let writing = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || writing.run(StderrSink::to(out, lost)))?;
        Ok(Self { shared, unbuffered })
    }

    /// The guard that writes all pending lines at the end of the process.
    pub(in crate::telemetry) const fn flush_on_drop(self) -> Flush {
        Flush(self)
    }

    /// Adds a line of an event of this level.
    pub(super) fn add_line(&self, level: Level, line: &[u8]) {
        self.add(line, self.unbuffered || level <= Level::WARN);
    }

    fn add(&self, line: &[u8], urgent: bool) {
        let mut pending = self.shared.pending();
        if pending.text.len() + line.len() > MAX_PENDING {
            pending.lost += 1;
            return;
        }
        let first = pending.text.is_empty();
        pending.text.extend_from_slice(line);
        let urgent = urgent || pending.text.len() > FLUSH_THRESHOLD;
        let wakes = first || urgent && !pending.urgent;
        pending.urgent |= urgent;
        drop(pending);
        // One notification for all lines that are written together.
        if wakes {
            self.shared.changed.notify_one();
        }
    }
}

impl Flush {
    /// Adds a line as it is, after all that was logged: the last message of the process.
    pub fn write_line(&self, line: &str) {
        self.0.add(format!("{line}\n").as_bytes(), true);
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        let mut pending = shared.pending();
        pending.ending = true;
        shared.changed.notify_one();
        // Bounded: a reader of stderr that has stopped must not keep the process from ending.
        let _ = shared.finished.wait_timeout_while(pending, FINAL_FLUSH_TIMEOUT, |pending| !pending.finished);
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's loop; returns at the end of the process.
    fn run(&self, mut out: StderrSink<impl Write>) {
        let mut text = Vec::new();
        loop {
            let (lost, ending) = self.take(&mut text);
            out.write_lines(&text, lost);
            text.clear();
            let mut pending = self.pending();
            if ending && pending.text.is_empty() {
                pending.finished = true;
                self.finished.notify_all();
                return;
            }
        }
    }

    /// Waits for lines and for the interval to pass, and swaps them with `text`, which is empty. Returns the number of
    /// lines lost after them, and whether the process ends.
    fn take(&self, text: &mut Vec<u8>) -> (u64, bool) {
        let idle = |pending: &mut Pending| pending.text.is_empty() && !pending.ending;
        let pending = self.changed.wait_while(self.pending(), idle).unwrap_or_else(PoisonError::into_inner);
        let gathering = |pending: &mut Pending| !pending.urgent && !pending.ending;
        let gathered = self.changed.wait_timeout_while(pending, FLUSH_INTERVAL, gathering);
        let (mut pending, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(text, &mut pending.text);
        pending.urgent = false;
        (std::mem::take(&mut pending.lost), pending.ending)
    }
}

/// Adds one line of text.
pub(in crate::telemetry) struct LineWriter<'a> {
    log: &'a LogWriter,
    level: Level,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.log.add_line(self.level, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { log: self, level: Level::ERROR }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter { log: self, level: *metadata.level() }
    }
}

#[cfg(test)]
mod tests;
