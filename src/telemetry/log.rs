//! The log on its way to stderr.
//!
//! A line goes into a buffer, and a thread of its own writes what has gathered: one write for the lines of 50 ms, and at
//! once when one of them is a warning or worse. So no request waits for whoever reads stderr. What can be lost, and when:
//!
//! - The process is killed (`kill -9`): the lines of the last 50 ms.
//! - Whoever reads stderr stops, or it can't be written: lines that find the buffer full, 1 MiB, and those that were
//!   refused. In their place a warning says how many, as soon as one gets through; no filter holds it back.
//! - The process ends while nobody reads: what has not been read a second later.

mod json;
mod request;
mod stderr_sink;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use self::stderr_sink::StderrSink;

pub(super) use json::{JsonLines, lost as lost_as_json};
pub use request::RequestLine;

/// How long lines gather.
const WINDOW: Duration = Duration::from_millis(50);
/// Most bytes that wait to be written.
const MOST: usize = 1 << 20;
/// So many do not wait for the window's end: behind a busy server they would be too many by then.
const MANY: usize = MOST / 4;
/// How long the end of the process waits for the last lines to be read.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Who tells of lost lines.
const TARGET: &str = module_path!();

/// Where lines go; clones are the same.
#[derive(Clone)]
pub(super) struct LogWriter {
    shared: Arc<Shared>,
    /// Nothing gathers: somebody is watching.
    at_once: bool,
}

struct Shared {
    // std Mutex: held to add a line or to take them all, never while they are written.
    waiting: Mutex<Waiting>,
    /// Something changed for the thread that writes.
    more: Condvar,
    /// All has been written, after the end.
    done: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    /// Lines that there was no room for, behind those that are in the text.
    lost: u64,
    /// The text does not wait for the window's end.
    due: bool,
    ending: bool,
    done: bool,
}

/// Writes what has gathered when it is dropped, at the end of the process.
#[must_use]
pub struct Flush(LogWriter);

impl LogWriter {
    /// Begins to write to `out`. `lost` makes the line which says that so many are missing, and why.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn to(
        out: impl Write + Send + 'static,
        at_once: bool,
        lost: fn(u64, &str) -> Vec<u8>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), more: Condvar::new(), done: Condvar::new() });
        let writing = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || writing.write(StderrSink::to(out, lost)))?;
        Ok(Self { shared, at_once })
    }

    /// Waits for all that has gathered to be written, when the process ends.
    pub(super) const fn flushed_at_the_end(self) -> Flush {
        Flush(self)
    }

    /// Adds a line of this level.
    fn add_of(&self, level: Level, line: &[u8]) {
        self.add(line, self.at_once || level <= Level::WARN);
    }

    fn add(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.shared.waiting();
        if waiting.text.len() + line.len() > MOST {
            waiting.lost += 1;
            return;
        }
        let first = waiting.text.is_empty();
        waiting.text.extend_from_slice(line);
        let due = urgent || waiting.text.len() > MANY;
        let wakes = first || due && !waiting.due;
        waiting.due |= due;
        drop(waiting);
        // Once for all the lines that are written together.
        if wakes {
            self.shared.more.notify_one();
        }
    }
}

impl Flush {
    /// Adds a line as it is: what is said to whoever started the process, behind all that was logged.
    pub fn write_line(&self, line: &str) {
        self.0.add(format!("{line}\n").as_bytes(), true);
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        let mut waiting = shared.waiting();
        waiting.ending = true;
        shared.more.notify_one();
        // Somebody who does not read must not hold the process.
        let _ = shared.done.wait_timeout_while(waiting, FINAL_FLUSH_TIMEOUT, |waiting| !waiting.done);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until the end.
    fn write(&self, mut out: StderrSink<impl Write>) {
        let mut text = Vec::new();
        loop {
            let (lost, ending) = self.take(&mut text);
            out.put(&text, lost);
            text.clear();
            let mut waiting = self.waiting();
            if ending && waiting.text.is_empty() {
                waiting.done = true;
                self.done.notify_all();
                return;
            }
        }
    }

    /// Waits for lines, and for more of them to gather; exchanges them for `text`, which is empty. Gives how many are
    /// missing behind them, and whether it is the end.
    fn take(&self, text: &mut Vec<u8>) -> (u64, bool) {
        let idle = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.ending;
        let waiting = self.more.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
        let gathering = |waiting: &mut Waiting| !waiting.due && !waiting.ending;
        let gathered = self.more.wait_timeout_while(waiting, WINDOW, gathering);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(text, &mut waiting.text);
        waiting.due = false;
        (std::mem::take(&mut waiting.lost), waiting.ending)
    }
}

/// Says, as a line of text, that so many are missing.
pub(super) fn lost_as_text(count: u64, why: &str) -> Vec<u8> {
    format!("{:.6}  WARN {TARGET}: {why} lines={count}\n", Timestamp::now()).into_bytes()
}

/// Adds one line.
pub(super) struct Line<'a> {
    lines: &'a LogWriter,
    level: Level,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.add_of(self.level, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, level: Level::ERROR }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, level: *metadata.level() }
    }
}

#[cfg(test)]
mod tests;
