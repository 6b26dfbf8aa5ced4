//! The API in which a client gets its stream: chunks as they come, events that they are translated to, or another API's
//! events as they come.

use bytes::BytesMut;
use jiff::Timestamp;

use super::event_reader::EventReader;
use super::translation::Translation;
use crate::error::ApiError;
use crate::wire::messages::from_chat::CompletionStream;
use crate::wire::messages::{self, MessageStream};
use crate::wire::operation::Operation;
use crate::wire::responses::{EventScanner, ResponseStream};
use crate::wire::sse::{DONE, Event, KEEP_ALIVE, push_frame};
use crate::wire::translation::{ChatDelta, TokenCounts, TranslationError};

/// See the module.
pub(super) enum ClientFormat {
    /// Chunks of chat completions, or of completions of a prompt.
    Chunks,
    /// The events of a response, made of chunks.
    Response(Box<ResponseStream>),
    /// The events of a message, made of chunks.
    Message(Box<MessageStream>),
    /// Chunks, made of the events of a message.
    Completion(Box<CompletionStream>),
    /// The upstream's own events of a response.
    NativeResponse,
    /// The upstream's own events of a message.
    NativeMessage,
}

impl ClientFormat {
    /// The format of an answer to a request of `operation`, which is translated if there is a `translation`; that keeps
    /// at most `limit` bytes.
    pub(super) fn new(operation: Operation, translation: Option<Translation>, limit: usize) -> Self {
        match (translation, operation) {
            (Some(Translation::Response(head)), _) => Self::Response(Box::new(ResponseStream::new(*head, limit))),
            (Some(Translation::Message(head)), _) => Self::Message(Box::new(MessageStream::new(&head, limit))),
            (Some(Translation::Completion(head, include_usage)), _) => {
                Self::Completion(Box::new(CompletionStream::new(&head, include_usage)))
            }
            (None, Operation::Responses) => Self::NativeResponse,
            (None, Operation::Messages) => Self::NativeMessage,
            (None, Operation::Chat | Operation::Completions | Operation::Embeddings) => Self::Chunks,
        }
    }

    /// What is sent while there is nothing else to send.
    pub(super) const fn heartbeat(&self) -> &'static [u8] {
        match self {
            Self::Chunks | Self::Completion(_) | Self::Response(_) | Self::NativeResponse => KEEP_ALIVE,
            Self::Message(_) | Self::NativeMessage => messages::PING,
        }
    }

    /// Whether the upstream's own events are passed on.
    pub(super) const fn is_native(&self) -> bool {
        matches!(self, Self::NativeResponse | Self::NativeMessage)
    }

    /// The bytes of the answer that are kept.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Response(stream) => stream.held(),
            Self::Message(stream) => stream.held(),
            // A few bytes for each block.
            Self::Completion(_) => 0,
            Self::Chunks | Self::NativeResponse | Self::NativeMessage => 0,
        }
    }

    /// Writes an event of the upstream that needs no repair.
    ///
    /// # Errors
    /// [`TranslationError`]: the stream can only fail.
    pub(super) fn write(&mut self, event: &Event, out: &mut BytesMut) -> Result<(), TranslationError> {
        match self {
            Self::Chunks => push_frame(out, &event.data),
            Self::Response(stream) => stream.chunk(text(event)?, out)?,
            Self::Message(stream) => stream.chunk(text(event)?, out)?,
            Self::Completion(stream) => drop(stream.event(text(event)?, out)?),
            Self::NativeResponse | Self::NativeMessage => {
                if let Some(name) = &event.name {
                    for part in [b"event: ", &name[..], b"\n"] {
                        out.extend_from_slice(part);
                    }
                }
                push_frame(out, &event.data);
            }
        }
        Ok(())
    }

    /// Writes what a chunk says. Only for formats that are translated to.
    ///
    /// # Errors
    /// As [`ClientFormat::write`].
    pub(super) fn write_delta(&mut self, delta: &ChatDelta<'_>, out: &mut BytesMut) -> Result<(), TranslationError> {
        match self {
            Self::Response(stream) => stream.delta(delta, out),
            Self::Message(stream) => stream.delta(delta, out),
            Self::Chunks | Self::Completion(_) | Self::NativeResponse | Self::NativeMessage => {
                Err(TranslationError::Malformed)
            }
        }
    }

    /// Writes the end of the stream: an error if it has failed. `reader` is that of the upstream's events, if any have
    /// come; `counted` are the token counts, should the upstream have sent none.
    pub(super) fn end(
        self,
        reader: Option<EventReader>,
        error: Option<&ApiError>,
        counted: TokenCounts,
        out: &mut BytesMut,
    ) {
        match (self, error) {
            (Self::Completion(stream), None) => {
                // It is complete: the end of the message has been read.
                let finished = stream.finish(&counted, out);
                debug_assert!(finished.is_ok(), "{finished:?}");
                out.extend_from_slice(DONE);
            }
            (Self::Chunks | Self::Completion(_), error) => {
                if let Some(error) = error {
                    error.push_frame(out);
                }
                out.extend_from_slice(DONE);
            }
            (Self::Response(stream), None) => stream.finish(Timestamp::now().as_second(), out),
            (Self::Response(stream), Some(error)) => stream.fail(error.reason(), error.message(), out),
            (Self::Message(stream), None) => stream.finish(&counted, out),
            (Self::Message(stream), Some(error)) => stream.fail(error.anthropic_kind(), error.message(), out),
            (Self::NativeResponse, None) => out.extend_from_slice(DONE),
            (Self::NativeResponse, Some(error)) => {
                let scanner = match reader {
                    Some(EventReader::Response(scanner)) => *scanner,
                    _ => EventScanner::default(),
                };
                scanner.fail(error.reason(), error.message(), out);
            }
            (Self::NativeMessage, None) => {}
            (Self::NativeMessage, Some(error)) => {
                messages::push_error(out, error.anthropic_kind(), error.message());
            }
        }
    }
}

/// The data of a chunk, which was parsed before.
fn text(event: &Event) -> Result<&str, TranslationError> {
    simdutf8::basic::from_utf8(&event.data).map_err(|_| TranslationError::Malformed)
}
