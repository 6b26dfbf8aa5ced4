//! Output of commands: results on stdout, messages on stderr.

use std::io::{ErrorKind, Write};

use super::failure::Failure;

/// Writes `text` to stdout. A reader that has closed the pipe, such as `head`, is not an error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_or_closed(text).map(|_| ())
}

/// As [`print`]; false: the reader has closed the pipe.
pub(super) fn print_or_closed(text: &str) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Fault(format!("stdout: {error}"))),
    }
}

/// Writes a line to stderr. A failure can't be reported anywhere and is ignored.
pub(super) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
