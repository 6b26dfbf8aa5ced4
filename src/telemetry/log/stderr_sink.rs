//! The writing itself: what does not get through is counted, and told of in its place.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

/// Pause before the next try where writing would have to wait, and whoever opened the other end does not want that.
const PAUSE: Duration = Duration::from_millis(10);
/// Why lines are missing.
const WHY: &str = "lines of the log are lost: stderr did not take them in time";

/// Where lines are written.
pub(super) struct StderrSink<W> {
    to: W,
    lost: fn(u64, &str) -> Vec<u8>,
    /// Lines that have not been written, and not been told of.
    missing: u64,
    /// The last that was written is a line's beginning.
    torn: bool,
}

impl<W: Write> StderrSink<W> {
    pub(super) const fn to(to: W, lost: fn(u64, &str) -> Vec<u8>) -> Self {
        Self { to, lost, missing: 0, torn: false }
    }

    /// Writes these lines, behind which so many are `lost`.
    pub(super) fn put(&mut self, lines: &[u8], lost: u64) {
        self.tell();
        // What comes behind a gap that could not be told of belongs to the gap.
        let written = if self.missing == 0 { self.write(lines) } else { 0 };
        self.missing += lost + count(&lines[written..]);
        self.tell();
    }

    fn tell(&mut self) {
        if self.missing > 0 {
            let line = (self.lost)(self.missing, WHY);
            if self.write(&line) == line.len() {
                self.missing = 0;
            }
        }
    }

    /// Writes as much as can be written; gives how much.
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
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(_) => break,
            }
        }
        written
    }
}

/// How many lines there are, or their ends.
fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::{self, Error};

    use super::*;

    /// Takes as many bytes as it is told at each call, or fails.
    #[derive(Default)]
    struct Moody {
        moods: Vec<Result<usize, ErrorKind>>,
        text: Vec<u8>,
    }

    impl Write for &mut Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mood = if self.moods.is_empty() { Ok(usize::MAX) } else { self.moods.remove(0) };
            let taken = mood.map_err(Error::from)?.min(bytes.len());
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

    /// What has been written of these batches and their losses.
    fn written(moods: &[Result<usize, ErrorKind>], batches: &[(&str, u64)]) -> String {
        let mut moody = Moody { moods: moods.to_vec(), text: Vec::new() };
        let mut out = StderrSink::to(&mut moody, lost);
        batches.iter().for_each(|(lines, lost)| out.put(lines.as_bytes(), *lost));
        String::from_utf8(moody.text).unwrap()
    }

    #[test]
    fn a_gap_is_told_of_where_it_is() {
        assert_eq!(written(&[], &[("a\nb\n", 3), ("c\n", 0)]), "a\nb\nlost 3\nc\n");
    }

    #[test]
    fn pieces_interruptions_and_pauses_lose_nothing() {
        let moods = [Ok(1), Err(ErrorKind::Interrupted), Ok(2), Err(ErrorKind::WouldBlock)];
        assert_eq!(written(&moods, &[("a\nb\n", 0)]), "a\nb\n");
    }

    #[test]
    fn what_is_refused_is_counted_and_told_of_when_something_gets_through() {
        let full = Err(ErrorKind::StorageFull);
        // The first batch and its gap, the second one's gap; then the third finds room.
        assert_eq!(written(&[full, full, full, full], &[("a\nb\n", 0), ("c\n", 2), ("d\n", 0)]), "lost 5\nd\n");
        assert_eq!(written(&[Ok(0)], &[("a\nb\n", 0), ("c\n", 0)]), "lost 2\nc\n");
    }

    #[test]
    fn a_line_that_was_torn_tears_no_other() {
        let full = Err(ErrorKind::StorageFull);
        assert_eq!(written(&[Ok(3), full, full], &[("a\nbb\ncc\n", 0), ("d\n", 0)]), "a\nb\nlost 2\nd\n");
        // Torn in the telling.
        let moods = [full, Ok(2), full, full, full];
        assert_eq!(written(&moods, &[("a\n", 0), ("b\n", 0), ("c\n", 0)]), "lo\nlost 2\nc\n");
    }
}
