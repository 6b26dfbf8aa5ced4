//! The end of an answer: its finish reason, the text of a refusal, token counts.

use super::event::StopMembers;
use crate::wire::scan::Scanner;
use crate::wire::translation::{Object, TokenCounts, inside};

/// Why an answer is finished, in the words of chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Finish {
    /// There is no reason.
    #[default]
    Unknown,
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
}

impl Finish {
    /// The reason for the JSON of a `stop_reason`. Reasons that are not known count as [`Finish::Stop`], and so does
    /// `pause_turn`, which ends a turn with tools of the server only.
    pub(super) fn read(reason: Option<&str>) -> Self {
        match reason {
            None | Some("null") => Self::Unknown,
            Some("\"max_tokens\"" | "\"model_context_window_exceeded\"") => Self::Length,
            Some("\"tool_use\"") => Self::ToolCalls,
            Some("\"refusal\"") => Self::ContentFilter,
            Some(_) => Self::Stop,
        }
    }

    /// The value of `finish_reason`.
    pub(super) const fn name(self, calls_tools: bool) -> &'static str {
        match self {
            Self::ToolCalls => "tool_calls",
            Self::Unknown if calls_tools => "tool_calls",
            Self::Stop | Self::Unknown => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// The explanation of a refusal, as the inside of a JSON string; none where there is none.
pub(super) fn refusal<'a>(stop: &StopMembers<'a>) -> Option<&'a str> {
    let details = stop.details.filter(|_| Finish::read(stop.reason) == Finish::ContentFilter)?;
    let mut explanation = None;
    // Details are null or an object; what is neither has no explanation.
    let _ = Scanner::new(details).object(|scanner, key| {
        let value = scanner.value()?;
        if key == "explanation" {
            explanation = Some(inside(value)).filter(|text| !text.is_empty());
        }
        Ok(())
    });
    explanation
}

/// Token counts as chat has them: those of the prompt include what was read from a cache and written to one.
pub(super) fn usage_json(counts: &TokenCounts) -> String {
    let mut prompt = Object::new();
    prompt.raw("cached_tokens", &counts.cached.to_string());
    if counts.cache_written > 0 {
        prompt.raw("cache_write_tokens", &counts.cache_written.to_string());
    }
    let completion = Object::new().raw("reasoning_tokens", &counts.reasoning.to_string()).finish();
    let mut usage = Object::new();
    usage.raw("prompt_tokens", &counts.input.to_string()).raw("completion_tokens", &counts.output.to_string());
    usage.raw("total_tokens", &counts.input.saturating_add(counts.output).to_string());
    usage.raw("prompt_tokens_details", &prompt.finish()).raw("completion_tokens_details", &completion);
    usage.finish()
}
