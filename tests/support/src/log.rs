//! Captures the log of one test, at all levels.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// A second dispatcher. With one only, tracing caches for the whole process whether a call site is enabled, as
/// decided by the first thread that reaches it; threads of other tests have no subscriber.
static SECOND: OnceLock<Dispatch> = OnceLock::new();

/// Captures what this thread and the servers that it starts log, until it is dropped.
pub struct Log {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to capture.
    pub fn collect() -> Self {
        SECOND.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        let text = Text::default();
        let subscriber =
            tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(text.clone()).finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The log so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.text.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Text {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
