//! The names of a request's members: those that OpenAI's API defines, those that other servers take for them, and those
//! that name other models.

/// Defines [`Param`].
macro_rules! params {
    ($($param:ident $name:literal)*) => {
        /// A top-level member of a request that OpenAI's API defines, deprecated ones included.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is named as its member is")]
        pub enum Param {
            $($param,)*
        }

        impl Param {
            pub(super) const COUNT: usize = [$($name),*].len();

            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$param),)*
                    _ => None,
                }
            }

            /// The member's name in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$param => $name,)*
                }
            }
        }
    };
}

params! {
    Audio "audio"
    FrequencyPenalty "frequency_penalty"
    FunctionCall "function_call"
    Functions "functions"
    LogitBias "logit_bias"
    Logprobs "logprobs"
    MaxCompletionTokens "max_completion_tokens"
    MaxTokens "max_tokens"
    Messages "messages"
    Metadata "metadata"
    Modalities "modalities"
    Model "model"
    Moderation "moderation"
    N "n"
    ParallelToolCalls "parallel_tool_calls"
    Prediction "prediction"
    PresencePenalty "presence_penalty"
    PromptCacheKey "prompt_cache_key"
    PromptCacheOptions "prompt_cache_options"
    PromptCacheRetention "prompt_cache_retention"
    ReasoningEffort "reasoning_effort"
    ResponseFormat "response_format"
    SafetyIdentifier "safety_identifier"
    Seed "seed"
    ServiceTier "service_tier"
    Stop "stop"
    Store "store"
    Stream "stream"
    StreamOptions "stream_options"
    Temperature "temperature"
    ToolChoice "tool_choice"
    Tools "tools"
    TopLogprobs "top_logprobs"
    TopP "top_p"
    User "user"
    Verbosity "verbosity"
    WebSearchOptions "web_search_options"
}

/// The longest name that is folded, characters: no name in this file is longer.
const MAX_NAME: usize = 32;

/// The name that a case-insensitive reader takes `key` for, or one that takes NUL for the end of a string. Go's
/// `encoding/json` folds ASCII, `ſ` (U+017F) to `s` and the Kelvin sign (U+212A) to `k`. None where nothing is folded,
/// and for keys longer than [`MAX_NAME`].
pub(super) fn folded(key: &str) -> Option<String> {
    if key.bytes().all(|byte| matches!(byte, 1..=b'@' | b'['..=b'\x7f')) {
        return None;
    }
    let mut name = String::with_capacity(MAX_NAME);
    for (at, c) in key.chars().take_while(|c| *c != '\0').enumerate() {
        if at == MAX_NAME {
            return None;
        }
        name.push(match c {
            'ſ' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        });
    }
    Some(name)
}

/// Whether a top-level member selects models or their providers beside `model`: with OpenRouter, LiteLLM, the AI
/// gateways of Vercel and Portkey, LM Studio, or servers of adapters.
pub(super) fn names_models(key: &str) -> bool {
    matches!(
        key,
        "adapter"
            | "adapter_id"
            | "allowed_models"
            | "api_base"
            | "base_url"
            | "content_policy_fallbacks"
            | "context_window_fallback_dict"
            | "context_window_fallbacks"
            | "custom_llm_provider"
            | "default_fallbacks"
            | "deployment_id"
            | "draft_model"
            | "engine"
            | "fallback"
            | "fallback_models"
            | "fallbacks"
            | "model_list"
            | "models"
            | "preset"
            | "route"
            | "router"
            | "targets"
            | "user_config"
    )
}

/// Whether servers read `model` and the members of [`names_models`] within this member, too.
pub(super) fn holds_parameters(key: &str) -> bool {
    matches!(
        key,
        "extra_body"
            | "extra_params"
            | "gateway"
            | "litellm_params"
            | "optional_params"
            | "plugins"
            | "provideroptions"
            | "provider_options"
            | "router_settings_override"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_as_the_most_lenient_readers_do() {
        assert_eq!(Param::COUNT, 37);
        for plain in ["model", "max_tokens", "top_k", "größe", ""] {
            let other = folded(plain);
            assert!(other.is_none_or(|other| other == plain), "{plain}");
        }
        for (key, name) in [
            ("Model", "model"),
            ("MAX_TOKENS", "max_tokens"),
            ("meſſages", "messages"),
            ("max_to\u{212a}ens", "max_tokens"),
            ("model\0x", "model"),
            ("MESSAGE\u{17f}", "messages"),
        ] {
            assert_eq!(folded(key).as_deref(), Some(name), "{key}");
        }
        assert_eq!(folded(&"M".repeat(MAX_NAME + 1)), None);
    }
}
