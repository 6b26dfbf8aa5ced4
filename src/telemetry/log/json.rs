//! Events as lines of JSON: `{"timestamp","level", the event's own fields, "target"}`.

use std::cell::RefCell;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line_buffer::LineBuffer;
use super::request_line::RequestLine;
use super::writer::LogWriter;

thread_local! {
    /// Reused for each line, and keeps the text of the current second.
    pub(super) static BUFFER: RefCell<LineBuffer> = RefCell::default();
}

/// A layer that writes every event as a line of JSON.
pub(in crate::telemetry) struct JsonLines(pub(in crate::telemetry) LogWriter);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.add(*event.metadata().level(), |buffer| buffer.event(event));
    }
}

impl JsonLines {
    /// Adds the line of a request, identical to that of [`RequestLine::event`].
    pub(super) fn add_request(&self, request: &RequestLine<'_>) {
        self.add(Level::INFO, |buffer| buffer.request(request));
    }

    fn add(&self, level: Level, write: impl Fn(&mut LineBuffer)) {
        let add = |buffer: &mut LineBuffer| {
            write(buffer);
            self.0.add_line(level, &buffer.line);
        };
        BUFFER.with(|buffer| match buffer.try_borrow_mut() {
            Ok(mut buffer) => add(&mut buffer),
            // A value that logs while it is formatted needs a buffer of its own.
            Err(_) => add(&mut LineBuffer::default()),
        });
    }
}
