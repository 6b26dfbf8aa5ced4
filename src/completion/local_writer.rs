//! Writes the stream of the local model in the client's format.

use async_openai::types::chat::FinishReason;
use bytes::BytesMut;

use super::client_format::ClientFormat;
use crate::error::ApiError;
use crate::wire::chat::{self, ChunkWriter, CompletionHead};
use crate::wire::translation::{self, ChatDelta, TokenCounts};

/// See the module.
pub(super) enum LocalWriter {
    /// Chunks.
    Chunks {
        writer: ChunkWriter,
        /// The client requested usage.
        include_usage: bool,
    },
    /// The events of another API, of the only choice. None once the stream has ended.
    Translated(Option<ClientFormat>),
}

impl LocalWriter {
    pub(super) fn new(head: &CompletionHead, include_usage: bool, format: ClientFormat) -> Self {
        match format {
            ClientFormat::Chunks => Self::Chunks { writer: ChunkWriter::new(head, include_usage), include_usage },
            format => Self::Translated(Some(format)),
        }
    }

    pub(super) const fn heartbeat(&self) -> &'static [u8] {
        match self {
            Self::Translated(Some(format)) => format.heartbeat(),
            Self::Chunks { .. } | Self::Translated(None) => ClientFormat::Chunks.heartbeat(),
        }
    }

    /// The chunk that names the role of a choice.
    pub(super) fn first(&mut self, out: &mut BytesMut, index: u32) {
        match self {
            Self::Chunks { writer, .. } => writer.first(out, index),
            Self::Translated(_) => self.delta(&ChatDelta::default(), out),
        }
    }

    /// A piece of the text of a choice.
    pub(super) fn text(&mut self, out: &mut BytesMut, index: u32, text: &str) {
        match self {
            Self::Chunks { writer, .. } => writer.text(out, index, text),
            Self::Translated(_) => self.delta(&ChatDelta::of_text(text), out),
        }
    }

    /// The end of a choice.
    pub(super) fn last(&mut self, out: &mut BytesMut, index: u32, reason: FinishReason) {
        match self {
            Self::Chunks { writer, .. } => writer.last(out, index, reason),
            Self::Translated(_) => {
                let finish = match reason {
                    FinishReason::Length => translation::FinishReason::Length,
                    FinishReason::ContentFilter => translation::FinishReason::ContentFilter,
                    FinishReason::ToolCalls | FinishReason::FunctionCall => translation::FinishReason::ToolCalls,
                    FinishReason::Stop => translation::FinishReason::Stop,
                };
                self.delta(&ChatDelta { finish: Some(finish), ..ChatDelta::default() }, out);
            }
        }
    }

    /// The usage, if the client gets it.
    pub(super) fn usage(&mut self, out: &mut BytesMut, prompt_tokens: u32, completion_tokens: u32) {
        match self {
            Self::Chunks { writer, include_usage: true } => {
                writer.usage(out, &chat::usage(prompt_tokens, completion_tokens));
            }
            Self::Chunks { include_usage: false, .. } => {}
            Self::Translated(_) => {
                let (input, output) = (prompt_tokens.into(), completion_tokens.into());
                let usage = Some(TokenCounts { input, output, ..TokenCounts::default() });
                self.delta(&ChatDelta { usage, ..ChatDelta::default() }, out);
            }
        }
    }

    /// The end of the stream: an error if it has failed. Nothing follows it.
    pub(super) fn end(&mut self, error: Option<&ApiError>, out: &mut BytesMut) {
        let format = match self {
            Self::Chunks { .. } => ClientFormat::Chunks,
            Self::Translated(format) => match format.take() {
                Some(format) => format,
                None => return,
            },
        };
        format.end(None, error, TokenCounts::default(), out);
    }

    fn delta(&mut self, delta: &ChatDelta<'_>, out: &mut BytesMut) {
        if let Self::Translated(Some(format)) = self {
            // Without a limit and without tool calls, nothing can't be translated.
            let written = format.write_delta(delta, out);
            debug_assert!(written.is_ok(), "{written:?}");
        }
    }
}
