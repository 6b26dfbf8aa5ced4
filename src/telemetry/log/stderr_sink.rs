//! Writes lines to stderr. Lines that can't be written are counted, and replaced by a line with their number.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

/// Pause before the next attempt at a stderr that was opened non-blocking and is full.
const RETRY_DELAY: Duration = Duration::from_millis(10);
/// Message of the line that stands for lost lines.
const LOST: &str = "lines of the log are lost: stderr did not take them in time";

/// Writes lines and keeps count of those that are lost.
pub(super) struct StderrSink<W> {
    to: W,
    /// Formats the line that stands for so many lost lines, with the reason.
    lost: fn(u64, &str) -> Vec<u8>,
    /// Lost lines that have not been reported.
    missing: u64,
    /// Only the beginning of the last line was written.
    torn: bool,
}

impl<W: Write> StderrSink<W> {
    pub(super) const fn to(to: W, lost: fn(u64, &str) -> Vec<u8>) -> Self {
        Self { to, lost, missing: 0, torn: false }
    }

    /// Writes `lines`, after which `lost` more are missing.
    pub(super) fn write_lines(&mut self, lines: &[u8], lost: u64) {
        self.report_missing();
        // Lines after a gap that could not be reported become part of the gap.
        let written = if self.missing == 0 { self.write(lines) } else { 0 };
        self.missing += lost + count(&lines[written..]);
        self.report_missing();
    }

    fn report_missing(&mut self) {
        if self.missing > 0 {
            let line = (self.lost)(self.missing, LOST);
            if self.write(&line) == line.len() {
                self.missing = 0;
            }
        }
    }

    /// Writes as much as possible, on a separate line; returns the number of bytes.
    fn write(&mut self, lines: &[u8]) -> usize {
        if self.torn && self.try_all(b"\n") == 0 {
            return 0;
        }
        let written = self.try_all(lines);
        self.torn = written > 0 && lines[written - 1] != b'\n';
        written
    }

    fn try_all(&mut self, text: &[u8]) -> usize {
        let mut written = 0;
        while written < text.len() {
            match self.to.write(&text[written..]) {
                Ok(0) => break,
                Ok(some) => written += some,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_DELAY),
                Err(_) => break,
            }
        }
        written
    }
}

/// Number of line ends.
fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::{self, Error};

    use super::*;

    /// Each write takes the number of bytes of its scripted result, or fails; further writes take everything.
    #[derive(Default)]
    struct ScriptedWriter {
        results: Vec<Result<usize, ErrorKind>>,
        text: Vec<u8>,
    }

    impl Write for &mut ScriptedWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let result = if self.results.is_empty() { Ok(usize::MAX) } else { self.results.remove(0) };
            let taken = result.map_err(Error::from)?.min(bytes.len());
            self.text.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lost(count: u64, _: &str) -> Vec<u8> {
        format!("lost {count}\n").into_bytes()
    }

    /// The text that is written of these batches, each followed by so many lost lines.
    fn written(results: &[Result<usize, ErrorKind>], batches: &[(&str, u64)]) -> String {
        let mut writer = ScriptedWriter { results: results.to_vec(), text: Vec::new() };
        let mut sink = StderrSink::to(&mut writer, lost);
        batches.iter().for_each(|(lines, lost)| sink.write_lines(lines.as_bytes(), *lost));
        String::from_utf8(writer.text).unwrap()
    }

    #[test]
    fn lost_lines_are_reported_in_their_place() {
        assert_eq!(written(&[], &[("a\nb\n", 3), ("c\n", 0)]), "a\nb\nlost 3\nc\n");
    }

    #[test]
    fn short_writes_interruptions_and_waits_lose_nothing() {
        let results = [Ok(1), Err(ErrorKind::Interrupted), Ok(2), Err(ErrorKind::WouldBlock)];
        assert_eq!(written(&results, &[("a\nb\n", 0)]), "a\nb\n");
    }

    #[test]
    fn failed_lines_are_counted_and_reported_by_the_next_write() {
        let full = Err(ErrorKind::StorageFull);
        // Both writes of the first two batches fail; the third succeeds.
        assert_eq!(written(&[full, full, full, full], &[("a\nb\n", 0), ("c\n", 2), ("d\n", 0)]), "lost 5\nd\n");
        assert_eq!(written(&[Ok(0)], &[("a\nb\n", 0), ("c\n", 0)]), "lost 2\nc\n");
    }

    #[test]
    fn a_partly_written_line_does_not_damage_the_next() {
        let full = Err(ErrorKind::StorageFull);
        assert_eq!(written(&[Ok(3), full, full], &[("a\nbb\ncc\n", 0), ("d\n", 0)]), "a\nb\nlost 2\nd\n");
        // The report itself is partly written.
        let results = [full, Ok(2), full, full, full];
        assert_eq!(written(&results, &[("a\n", 0), ("b\n", 0), ("c\n", 0)]), "lo\nlost 2\nc\n");
    }
}
