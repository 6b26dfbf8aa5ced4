//! The log on its way to stderr.
//!
//! A line goes into a buffer, and a thread of its own writes what has gathered: one write for the lines of 50 ms, and at
//! once when one of them is a warning or worse. So no request waits for whoever reads stderr. What can be lost, and when:
//!
//! - The process is killed (`kill -9`): the lines of the last 50 ms.
//! - Whoever reads stderr stops: lines that find the buffer full, 1 MiB. The log says how many, as soon as it can.

mod json;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

pub(super) use json::JsonLines;

/// How long lines gather.
const WINDOW: Duration = Duration::from_millis(50);
/// Most bytes that wait to be written.
const MOST: usize = 1 << 20;
/// How long the end of the process waits for the last lines to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where lines go; clones are the same.
#[derive(Clone)]
pub(super) struct Lines {
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
    /// Lines that there was no room for.
    lost: u64,
    urgent: bool,
    ending: bool,
    done: bool,
}

/// Writes what has gathered when it is dropped, at the end of the process.
#[must_use]
pub struct Flush(Lines);

impl Lines {
    /// Begins to write to `out`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn to(out: impl Write + Send + 'static, at_once: bool) -> io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), more: Condvar::new(), done: Condvar::new() });
        let writing = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || writing.write(out))?;
        Ok(Self { shared, at_once })
    }

    /// Waits for all that has gathered to be written, when the process ends.
    pub(super) const fn flushed_at_the_end(self) -> Flush {
        Flush(self)
    }

    fn add(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.shared.waiting();
        if waiting.text.len() + line.len() > MOST {
            waiting.lost += 1;
            return;
        }
        let wakes = waiting.text.is_empty() || urgent && !waiting.urgent;
        waiting.text.extend_from_slice(line);
        waiting.urgent |= urgent;
        drop(waiting);
        if wakes {
            self.shared.more.notify_one();
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        let mut waiting = shared.waiting();
        waiting.ending = true;
        shared.more.notify_one();
        // Somebody who does not read must not hold the process.
        let _ = shared.done.wait_timeout_while(waiting, LAST_WORDS, |waiting| !waiting.done);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until the end.
    fn write(&self, mut out: impl Write) {
        let mut text = Vec::new();
        loop {
            let idle = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.ending;
            let waiting = self.more.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
            let gathering = |waiting: &mut Waiting| !waiting.urgent && !waiting.ending;
            let gathered = self.more.wait_timeout_while(waiting, WINDOW, gathering);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut text, &mut waiting.text);
            let (lost, ending) = (std::mem::take(&mut waiting.lost), waiting.ending);
            waiting.urgent = false;
            drop(waiting);
            // There is nobody to tell if stderr can't be written.
            let _ = out.write_all(&text).and_then(|()| out.flush());
            text.clear();
            if lost > 0 {
                tracing::warn!(lines = lost, "the log lost lines: stderr was not read in time");
            }
            if ending && self.waiting().text.is_empty() {
                self.waiting().done = true;
                self.done.notify_all();
                return;
            }
        }
    }
}

/// Adds one line.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    urgent: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.add(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, urgent: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, urgent: self.at_once || *metadata.level() <= Level::WARN }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Somebody who reads only when told to.
    struct Reader {
        reads: mpsc::Receiver<()>,
        heard: mpsc::Sender<String>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.reads.recv().map_err(io::Error::other)?;
            self.heard.send(String::from_utf8(bytes.to_vec()).unwrap()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let ((read, reads), (heard, hears)) = (mpsc::channel(), mpsc::channel());
        (Lines::to(Reader { reads, heard }, false).unwrap(), read, hears)
    }

    #[test]
    fn lines_keep_their_order_and_go_out_together() {
        let (lines, read, heard) = lines();
        for line in ["a\n", "b\n", "c\n"] {
            lines.add(line.as_bytes(), false);
        }
        read.send(()).unwrap();
        let mut text = heard.recv().unwrap();
        if text.len() < 6 {
            // The window ended between two of them, on a machine that was busy.
            read.send(()).unwrap();
            text += &heard.recv().unwrap();
        }
        assert_eq!(text, "a\nb\nc\n");
    }

    #[test]
    fn nobody_waits_for_a_reader_that_stopped_and_what_is_lost_is_counted() {
        let (lines, read, heard) = lines();
        let line = [b'x'; 1024];
        lines.add(b"first", true);
        // Held by the thread that writes.
        while !lines.shared.waiting().text.is_empty() {
            thread::yield_now();
        }
        for _ in 0..MOST / line.len() + 7 {
            lines.add(&line, false);
        }
        let waiting = lines.shared.waiting();
        assert_eq!((waiting.text.len(), waiting.lost), (MOST, 7));
        drop(waiting);
        read.send(()).unwrap();
        read.send(()).unwrap();
        assert_eq!(heard.recv().unwrap(), "first");
        assert_eq!(heard.recv().unwrap().len(), MOST);
        assert_eq!(lines.shared.waiting().lost, 0);
    }

    #[test]
    fn the_end_writes_what_has_gathered() {
        let (lines, read, heard) = lines();
        lines.add(b"last", false);
        read.send(()).unwrap();
        drop(lines.flushed_at_the_end());
        assert_eq!(heard.try_recv().unwrap(), "last");
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (lines, _read, heard) = lines();
        lines.add(b"last", false);
        drop(lines.flushed_at_the_end());
        assert!(heard.try_recv().is_err());
    }
}
