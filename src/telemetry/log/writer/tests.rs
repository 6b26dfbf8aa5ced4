//! The writer, with a reader that reads and one that has stopped.

use std::sync::mpsc;
use std::time::Instant;

use super::super::tests::SharedOutput;
use super::*;

/// A reader that completes one write for each permit, and passes its text on.
struct Reader {
    permits: mpsc::Receiver<()>,
    received: mpsc::Sender<String>,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.permits.recv().map_err(io::Error::other)?;
        self.received.send(String::from_utf8(bytes.to_vec()).unwrap()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lost(count: u64, _: &str) -> Vec<u8> {
    format!("lost {count}\n").into_bytes()
}

/// A writer, the permits of its reader, and what the reader receives.
fn writer() -> (LogWriter, mpsc::Sender<()>, mpsc::Receiver<String>) {
    let ((permit, permits), (received, output)) = (mpsc::channel(), mpsc::channel());
    (LogWriter::to(Reader { permits, received }, false, lost).unwrap(), permit, output)
}

/// Waits until the thread has taken all pending lines.
fn wait_until_taken(writer: &LogWriter) {
    while !writer.shared.pending().text.is_empty() {
        thread::yield_now();
    }
}

#[test]
fn lines_are_written_together_and_in_order() {
    let (writer, permit, output) = writer();
    for line in ["a\n", "b\n", "c\n"] {
        writer.add(line.as_bytes(), false);
    }
    permit.send(()).unwrap();
    let mut text = output.recv().unwrap();
    if text.len() < 6 {
        // On a busy machine the interval may end between two of them.
        permit.send(()).unwrap();
        text += &output.recv().unwrap();
    }
    assert_eq!(text, "a\nb\nc\n");
}

#[test]
fn a_stopped_reader_loses_lines_that_are_counted_in_their_place() {
    let (writer, permit, output) = writer();
    let line = format!("{}\n", "x".repeat(1023));
    writer.add(b"first\n", true);
    wait_until_taken(&writer);
    for _ in 0..MAX_PENDING / line.len() + 7 {
        writer.add(line.as_bytes(), false);
    }
    let pending = writer.shared.pending();
    assert_eq!((pending.text.len(), pending.lost), (MAX_PENDING, 7));
    drop(pending);
    permit.send(()).unwrap();
    assert_eq!(output.recv().unwrap(), "first\n");
    wait_until_taken(&writer);
    // The buffer is empty again.
    writer.add(b"last\n", true);
    (0..3).for_each(|_| permit.send(()).unwrap());
    assert_eq!(output.recv().unwrap().len(), MAX_PENDING);
    assert_eq!(output.recv().unwrap(), "lost 7\n");
    assert_eq!(output.recv().unwrap(), "last\n");
    assert_eq!(writer.shared.pending().lost, 0);
}

#[test]
fn lines_beyond_the_threshold_are_written_before_the_interval_ends() {
    let (writer, _permit, _output) = writer();
    writer.add(b"held by the thread that writes\n", true);
    wait_until_taken(&writer);
    let line = [b'x'; 1024];
    for _ in 0..FLUSH_THRESHOLD / line.len() {
        writer.add(&line, false);
    }
    assert!(!writer.shared.pending().urgent);
    writer.add(&line, false);
    assert!(writer.shared.pending().urgent);
}

#[test]
fn the_flush_writes_pending_lines_and_the_last_message() {
    let output = SharedOutput::default();
    let writer = LogWriter::to(output.clone(), false, lost).unwrap();
    writer.add(b"logged\n", false);
    let flush = writer.flush_on_drop();
    flush.write_line("last");
    drop(flush);
    assert_eq!(output.text(), "logged\nlast\n");
}

#[test]
fn the_flush_ends_after_its_timeout() {
    let (writer, _permit, output) = writer();
    writer.add(b"last\n", false);
    let since = Instant::now();
    drop(writer.flush_on_drop());
    assert!(output.try_recv().is_err() && since.elapsed() >= FINAL_FLUSH_TIMEOUT);
}
