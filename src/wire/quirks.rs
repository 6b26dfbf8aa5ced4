//! Differences of providers from OpenAI's API, and how petstream handles them.
//!
//! Clients are written for OpenAI's API. A difference that would break one is repaired, here or in the place that the
//! table names; others are passed on. Each row has a fixture, `fixtures/quirks/NAME.http`, which is an upstream's
//! response, and a line in `tests/it/quirks.rs` with what the client gets.
//!
//! | fixture | provider | difference | result |
//! |---|---|---|---|
//! | `overflow_*` | all | each has its own message for a conversation that is too long | 400 `context_length_exceeded` (`is_context_overflow`) |
//! | `error_number_code` | llama.cpp, vLLM, OpenRouter | an error's `code` is a number | read as a status, not passed on as a code |
//! | `error_list` | Gemini | an error's body is an array with the error in it | read |
//! | `error_detail_list` | FastAPI | `detail` is an array of errors | the first is read |
//! | `error_in_choice` | OpenRouter | an `error` in a choice of a 200 | an error |
//! | `error_finish` | OpenRouter, Mistral | a choice ends in `error` | an error |
//! | `error_as_events` | LM Studio, others | a JSON error with the content type of an event stream | an error |
//! | `events_as_json`, `events_as_bytes`, `events_unlabelled` | proxies | an event stream with the content type of JSON or bytes, or none | a stream, recognised by its first bytes |
//! | `comments` | OpenRouter, DeepSeek | comments until the first token | skipped |
//! | `ping` | Anthropic, proxies | events or chunks that only keep the connection alive | skipped |
//! | `filter_chunk` | Azure | a first chunk without choices | passed on with the first token |
//! | `role_missing` | older servers | no delta has a role | added to the first delta of each choice: the Node SDK's helper fails without |
//! | `role_repeated` | Gemini, xAI | every delta has the role | removed from all but the first: the Python SDK's helper concatenates them |
//! | `content_null` | llama.cpp | the first delta has a `content` of null | passed on: every SDK accepts it, and OpenAI sends it with tools |
//! | `call_unnumbered` | Gemini | tool calls without `index` | an index is added |
//! | `finish_empty` | older servers | a `finish_reason` of `""` on each chunk | null: it does not finish the choice, and async-openai fails on it |
//! | `finish_own` | Mistral, Together, others | other finish reasons | OpenAI's (`finish_reason`) |
//! | `choice_order` | llama.cpp | choice 1 begins first | held back until choice 0 has begun |
//! | `usage_null_choices` | proxies | usage on a chunk whose `choices` is null or missing | used; a client that requested usage gets an empty array |
//! | `usage_on_finish` | Mistral, DeepSeek, Gemini | usage on the chunk that finishes the choice | used; removed for clients that did not request usage |
//! | `usage_in_choice` | Moonshot | usage in the choice | used and passed on |
//! | `usage_groq` | Groq | usage in `x_groq` | used and passed on |
//! | `usage_anthropic` | compatible endpoints | `input_tokens` and `output_tokens` | used |

use super::envelope::ErrorBody;

/// An error of a provider for a conversation that is longer than the model's context.
struct OverflowPattern {
    /// The error's `type` or `code`.
    code: Option<&'static str>,
    /// Parts of the message, in lower case; all must occur.
    message: &'static [&'static str],
}

const fn code(code: &'static str) -> OverflowPattern {
    OverflowPattern { code: Some(code), message: &[] }
}

const fn message(message: &'static [&'static str]) -> OverflowPattern {
    OverflowPattern { code: None, message }
}

/// The errors, each with the providers that send it.
const OVERFLOWS: &[OverflowPattern] = &[
    code("context_length_exceeded"),                                  // OpenAI, Groq, Azure
    code("exceed_context_size_error"),                                // llama.cpp
    code("context_window_exceeded"),                                  // gateways
    message(&["exceeds the available context size"]),                 // llama.cpp before September 2025
    message(&["exceed context window of"]),                           // llama-cpp-python
    message(&["maximum context length is"]),                          // OpenAI, vLLM, DeepSeek, OpenRouter
    message(&["longer than the maximum model length"]),               // vLLM
    message(&["maximum context length of", "token"]),                 // SGLang
    message(&["longer than the model's context length"]),             // SGLang
    message(&["input length exceeds", "context length"]),             // Ollama
    message(&["input exceeds", "context length"]),                    // Ollama
    message(&["prompt is too long"]),                                 // Anthropic, Fireworks
    message(&["exceed context limit"]),                               // Anthropic
    message(&["too large for model with", "maximum context length"]), // Mistral
    message(&["input token count", "exceeds the maximum number of tokens"]), // Gemini
    message(&["maximum prompt length is"]),                           // xAI
    message(&["inputs` tokens + `max_new_tokens` must be"]),          // Together, TGI
    message(&["input is too long for requested model"]),              // Bedrock
    message(&["tokens to keep from the initial prompt", "context length"]), // LM Studio
    message(&["trying to keep the first", "context"]),                // LM Studio
];

/// Whether an upstream's error means that the conversation is longer than the model's context.
#[must_use]
pub(crate) fn is_context_overflow(error: &ErrorBody) -> bool {
    let message = error.message.to_ascii_lowercase();
    OVERFLOWS.iter().any(|pattern| {
        let has_code = pattern.code.is_some_and(|code| error.kind == code || error.code.as_deref() == Some(code));
        has_code || !pattern.message.is_empty() && pattern.message.iter().all(|part| message.contains(part))
    })
}

/// Members of a delta, and of the objects in it, that hold generated text. `name` and `input` are those of tool calls.
const TEXT_MEMBERS: [&str; 11] = [
    "content",
    "reasoning_content",
    "reasoning",
    "refusal",
    "arguments",
    "name",
    "input",
    "transcript",
    "text",
    "thinking",
    "summary",
];

/// Whether a member of a delta holds generated text.
#[must_use]
pub fn is_generated_text(key: &str) -> bool {
    TEXT_MEMBERS.contains(&key)
}

/// Providers' finish reasons, in lower case, and OpenAI's for them.
const FINISH_REASONS: &[(&str, &str)] = &[
    ("eos", "stop"),              // Together
    ("eos_token", "stop"),        // TGI
    ("stop_sequence", "stop"),    // TGI, Anthropic
    ("end_turn", "stop"),         // Anthropic
    ("complete", "stop"),         // Cohere
    ("model_length", "length"),   // Mistral
    ("max_tokens", "length"),     // Anthropic, Gemini, Cohere
    ("tool_use", "tool_calls"),   // Anthropic
    ("tool_call", "tool_calls"),  // Cohere
    ("safety", "content_filter"), // Gemini
    ("stop", "stop"),             // Gemini, in capitals
    ("length", "length"),
];

/// Repairs a `finish_reason`, given and returned as JSON: null for values that don't finish a choice, OpenAI's reason
/// for a provider's own. None when there is nothing to repair, or the reason is not known.
#[must_use]
pub(crate) fn finish_reason(reason: &str) -> Option<&'static str> {
    match reason.strip_prefix('"').and_then(|reason| reason.strip_suffix('"')) {
        None if reason == "null" => None,
        None | Some("") => Some("null"),
        Some(reason) => {
            let (_, openai) = FINISH_REASONS.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(reason))?;
            match *openai {
                "stop" => Some("\"stop\""),
                "length" => Some("\"length\""),
                "tool_calls" => Some("\"tool_calls\""),
                _ => Some("\"content_filter\""),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: &str, message: &str) -> ErrorBody {
        ErrorBody { message: message.to_owned(), kind: kind.to_owned(), param: None, code: None }
    }

    #[test]
    fn errors_for_conversations_that_are_too_long_are_recognised() {
        for (kind, message) in [
            ("exceed_context_size_error", "request (1407 tokens) exceeds the limit"),
            ("", "the request exceeds the available context size. try increasing it"),
            (
                "BadRequestError",
                "This model's maximum context length is 6048 tokens. However, you requested 6616 tokens",
            ),
            ("", "The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
            ("", "Requested token count exceeds the model's maximum context length of 8192 tokens."),
            ("", "The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
            ("api_error", "the input length exceeds the context length"),
            ("invalid_request_error", "prompt is too long: 206000 tokens > 200000 maximum"),
            ("", "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000"),
            ("", "Prompt contains 40007 tokens, too large for model with 32768 maximum context length"),
            ("", "The input token count (582632) exceeds the maximum number of tokens allowed (131072)."),
            ("", "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
            ("", "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097."),
        ] {
            assert!(is_context_overflow(&error(kind, message)), "{message}");
        }
        let coded = ErrorBody { code: Some("context_length_exceeded".to_owned()), ..error("", "No.") };
        assert!(is_context_overflow(&coded));
        for other in ["Too many tokens per minute.", "max_tokens must be at least 1, got -186.", "", "context"] {
            assert!(!is_context_overflow(&error("invalid_request_error", other)), "{other}");
        }
    }

    #[test]
    fn finish_reasons_become_openais() {
        for (reason, repaired) in [
            (r#""model_length""#, Some(r#""length""#)),
            (r#""STOP""#, Some(r#""stop""#)),
            (r#""MAX_TOKENS""#, Some(r#""length""#)),
            (r#""tool_use""#, Some(r#""tool_calls""#)),
            (r#""SAFETY""#, Some(r#""content_filter""#)),
            (r#""""#, Some("null")),
            ("0", Some("null")),
            ("{}", Some("null")),
            ("false", Some("null")),
            ("null", None),
            (r#""insufficient_system_resource""#, None),
        ] {
            assert_eq!(finish_reason(reason), repaired, "{reason}");
        }
    }
}
