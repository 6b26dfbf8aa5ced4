//! What providers do that the contract does not know, one row each, and what becomes of it on its way to a client.
//!
//! A client is written for OpenAI's API; whatever an upstream does otherwise is put right here or elsewhere where it would
//! break one, and passed on where it would not. To each row belongs a fixture, `fixtures/quirks/NAME.http`, an answer as it
//! comes from the upstream, and a line in `tests/it/quirks.rs` that says what the client gets.
//!
//! | fixture | who | what | what becomes of it |
//! |---|---|---|---|
//! | `overflow_*` | all | each has words of its own for a conversation that is too long | 400 `context_length_exceeded` ([`is_context_overflow`]) |
//! | `error_number_code` | llama.cpp, vLLM, OpenRouter | an error's `code` is a number | it stands for a status and is no code for clients |
//! | `error_list` | Gemini | an error's body is a list with the error in it | read |
//! | `error_detail_list` | FastAPI's | `detail` is a list of what is wrong | the first is read |
//! | `error_in_choice` | OpenRouter | an `error` in a choice of a 200 | an error |
//! | `error_finish` | OpenRouter, Mistral | a choice ends in `error` | an error |
//! | `error_as_events` | LM Studio, others | a JSON error labelled as an event stream | an error |
//! | `events_as_json`, `events_as_bytes`, `events_unlabelled` | proxies | an event stream labelled as JSON or bytes, or not at all | a stream, known by its first bytes |
//! | `comments` | OpenRouter, DeepSeek | comments until the first token | passed over |
//! | `ping` | Anthropic's, proxies | events or chunks that say only that the upstream lives | passed over |
//! | `filter_chunk` | Azure | first a chunk without choices | passed on with the first token |
//! | `role_missing` | older servers | no delta names a role | the first one of each choice gets it: Node's helper fails without |
//! | `role_repeated` | Gemini, xAI | every delta names the role | kept once: Python's helper joins them |
//! | `content_null` | llama.cpp | the first delta has a `content` of null | passed on: every SDK takes it, the real API sends it with tools |
//! | `call_unnumbered` | Gemini | tool calls without `index` | numbered |
//! | `finish_empty` | older servers | a `finish_reason` of `""` on each chunk | null: it ends nothing, and async-openai fails on it |
//! | `finish_own` | Mistral, Together, others | reasons of their own | the contract's ([`finish_reason`]) |
//! | `choice_order` | llama.cpp | choice 1 begins first | held back until choice 0 has begun |
//! | `usage_null_choices` | proxies | usage on a chunk whose `choices` is null or missing | used; a client that asked gets an empty list |
//! | `usage_on_finish` | Mistral, DeepSeek, Gemini | usage on the chunk that ends the choice | used, and hidden unless asked for |
//! | `usage_in_choice` | Moonshot | usage in the choice | used, left there |
//! | `usage_groq` | Groq | usage in `x_groq` | used, left there |
//! | `usage_anthropic` | compatible endpoints | `input_tokens` and `output_tokens` | used |

use super::envelope::ErrorBody;

/// How one provider says that a conversation is longer than the model's context.
struct Overflow {
    /// The `type` or `code` that it has for it.
    word: Option<&'static str>,
    /// What its message then holds, in small letters, all of it.
    message: &'static [&'static str],
}

const fn word(word: &'static str) -> Overflow {
    Overflow { word: Some(word), message: &[] }
}

const fn says(message: &'static [&'static str]) -> Overflow {
    Overflow { word: None, message }
}

/// See [`Overflow`]. Behind each who says so.
const OVERFLOWS: &[Overflow] = &[
    word("context_length_exceeded"),                               // OpenAI, Groq, Azure
    word("exceed_context_size_error"),                             // llama.cpp
    word("context_window_exceeded"),                               // gateways
    says(&["exceeds the available context size"]),                 // llama.cpp before September 2025
    says(&["exceed context window of"]),                           // llama-cpp-python
    says(&["maximum context length is"]),                          // OpenAI, vLLM, DeepSeek, OpenRouter
    says(&["longer than the maximum model length"]),               // vLLM
    says(&["maximum context length of", "token"]),                 // SGLang
    says(&["longer than the model's context length"]),             // SGLang
    says(&["input length exceeds", "context length"]),             // Ollama
    says(&["input exceeds", "context length"]),                    // Ollama
    says(&["prompt is too long"]),                                 // Anthropic, Fireworks
    says(&["exceed context limit"]),                               // Anthropic
    says(&["too large for model with", "maximum context length"]), // Mistral
    says(&["input token count", "exceeds the maximum number of tokens"]), // Gemini
    says(&["maximum prompt length is"]),                           // xAI
    says(&["inputs` tokens + `max_new_tokens` must be"]),          // Together, TGI
    says(&["input is too long for requested model"]),              // Bedrock
    says(&["tokens to keep from the initial prompt", "context length"]), // LM Studio
    says(&["trying to keep the first", "context"]),                // LM Studio
];

/// Whether an upstream's error says that the conversation is longer than the model's context.
#[must_use]
pub fn is_context_overflow(error: &ErrorBody) -> bool {
    let message = error.message.to_ascii_lowercase();
    OVERFLOWS.iter().any(|row| {
        let said = row.word.is_some_and(|word| error.kind == word || error.code.as_deref() == Some(word));
        said || !row.message.is_empty() && row.message.iter().all(|part| message.contains(part))
    })
}

/// Members of a delta, and of what stands in it, that hold generated text; whatever else is there names, numbers or
/// describes. `name` and `input` are those of tool calls.
const TEXTS: [&str; 11] = [
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
    TEXTS.contains(&key)
}

/// Reasons of providers' own, in small letters, and what the contract calls them.
const REASONS: &[(&str, &str)] = &[
    ("eos", "stop"),              // Together
    ("eos_token", "stop"),        // TGI
    ("stop_sequence", "stop"),    // TGI, Anthropic's
    ("end_turn", "stop"),         // Anthropic's
    ("complete", "stop"),         // Cohere's
    ("model_length", "length"),   // Mistral
    ("max_tokens", "length"),     // Anthropic's, Gemini's, Cohere's
    ("tool_use", "tool_calls"),   // Anthropic's
    ("tool_call", "tool_calls"),  // Cohere's
    ("safety", "content_filter"), // Gemini's
    ("stop", "stop"),             // Gemini's, in capitals
    ("length", "length"),
];

/// The JSON of a `finish_reason` in place of `reason`, the JSON of another: null for what ends nothing, the contract's word
/// for a provider's own. None where there is nothing to change, or no word is known for it.
#[must_use]
pub fn finish_reason(reason: &str) -> Option<&'static str> {
    match reason.strip_prefix('"').and_then(|reason| reason.strip_suffix('"')) {
        None if reason == "null" => None,
        None | Some("") => Some("null"),
        Some(own) => {
            let (_, known) = REASONS.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(own))?;
            match *known {
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
    fn each_providers_word_for_a_conversation_that_is_too_long_is_known() {
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
    fn reasons_become_the_contracts() {
        for (theirs, ours) in [
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
            assert_eq!(finish_reason(theirs), ours, "{theirs}");
        }
    }
}
