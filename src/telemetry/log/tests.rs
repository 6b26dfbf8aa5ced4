//! Lines on their way to somebody who reads, or does not.

use std::sync::mpsc;
use std::time::Instant;

use super::*;

/// Keeps what is written; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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

fn lost(count: u64, _: &str) -> Vec<u8> {
    format!("lost {count}\n").into_bytes()
}

fn lines() -> (LogWriter, mpsc::Sender<()>, mpsc::Receiver<String>) {
    let ((read, reads), (heard, hears)) = (mpsc::channel(), mpsc::channel());
    (LogWriter::to(Reader { reads, heard }, false, lost).unwrap(), read, hears)
}

/// Waits until the thread that writes has taken all.
fn taken(lines: &LogWriter) {
    while !lines.shared.waiting().text.is_empty() {
        thread::yield_now();
    }
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
fn nobody_waits_for_a_reader_that_stopped_and_the_gap_is_told_of_where_it_is() {
    let (lines, read, heard) = lines();
    let line = format!("{}\n", "x".repeat(1023));
    lines.add(b"first\n", true);
    taken(&lines);
    for _ in 0..MOST / line.len() + 7 {
        lines.add(line.as_bytes(), false);
    }
    let waiting = lines.shared.waiting();
    assert_eq!((waiting.text.len(), waiting.lost), (MOST, 7));
    drop(waiting);
    read.send(()).unwrap();
    assert_eq!(heard.recv().unwrap(), "first\n");
    taken(&lines);
    // There is room again.
    lines.add(b"last\n", true);
    (0..3).for_each(|_| read.send(()).unwrap());
    assert_eq!(heard.recv().unwrap().len(), MOST);
    assert_eq!(heard.recv().unwrap(), "lost 7\n");
    assert_eq!(heard.recv().unwrap(), "last\n");
    assert_eq!(lines.shared.waiting().lost, 0);
}

#[test]
fn many_lines_do_not_wait_for_the_window() {
    let (lines, _read, _heard) = lines();
    lines.add(b"held by the thread that writes\n", true);
    taken(&lines);
    let line = [b'x'; 1024];
    for _ in 0..MANY / line.len() {
        lines.add(&line, false);
    }
    assert!(!lines.shared.waiting().due);
    lines.add(&line, false);
    assert!(lines.shared.waiting().due);
}

#[test]
fn the_end_writes_what_has_gathered_and_what_is_said_last() {
    let heard = Heard::default();
    let lines = LogWriter::to(heard.clone(), false, lost).unwrap();
    lines.add(b"logged\n", false);
    let flush = lines.flushed_at_the_end();
    flush.write_line("said");
    drop(flush);
    assert_eq!(heard.text(), "logged\nsaid\n");
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (lines, _read, heard) = lines();
    lines.add(b"last\n", false);
    let since = Instant::now();
    drop(lines.flushed_at_the_end());
    assert!(heard.try_recv().is_err() && since.elapsed() >= FINAL_FLUSH_TIMEOUT);
}

#[test]
fn a_gap_in_words() {
    let line = String::from_utf8(lost_as_text(7, "why")).unwrap();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.parse::<Timestamp>().is_ok(), "{line}");
    assert_eq!(rest, " WARN petstream::telemetry::log: why lines=7\n");
}
