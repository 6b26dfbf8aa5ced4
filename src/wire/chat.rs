//! The local model's completions and chunks as JSON, with the members of OpenAI's API in the same order.
//!
//! Source: recorded streams of the API; OpenAI's API reference, "The chat completion chunk object" and "The chat
//! completion object".

use async_openai::types::chat::{CompletionTokensDetails, CompletionUsage, FinishReason, PromptTokensDetails};
use bytes::BytesMut;
use serde::Serialize;
use uuid::Uuid;

use super::sse::push_frame;

/// The members at the start of a completion and of every chunk of its stream.
#[derive(Clone, Debug)]
pub struct CompletionHead {
    /// The completion's id, `chatcmpl-…`.
    pub id: String,
    /// Unix time, seconds.
    pub created: i64,
    /// The name that the client requested.
    pub model: String,
}

/// The value of `system_fingerprint`: petstream's version.
const FINGERPRINT: &str = concat!("fp_petstream_", env!("CARGO_PKG_VERSION"));

impl CompletionHead {
    /// A head with a new id and the current time.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self {
            id: format!("chatcmpl-{}", Uuid::now_v7().simple()),
            created: jiff::Timestamp::now().as_second(),
            model: model.to_owned(),
        }
    }
}

/// A `usage` object, with the details that SDKs read, all 0.
#[must_use]
pub fn usage(prompt_tokens: u32, completion_tokens: u32) -> CompletionUsage {
    CompletionUsage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens.saturating_add(completion_tokens),
        prompt_tokens_details: Some(PromptTokensDetails {
            audio_tokens: Some(0),
            cached_tokens: Some(0),
            ..PromptTokensDetails::default()
        }),
        completion_tokens_details: Some(CompletionTokensDetails {
            accepted_prediction_tokens: Some(0),
            audio_tokens: Some(0),
            reasoning_tokens: Some(0),
            rejected_prediction_tokens: Some(0),
            ..CompletionTokensDetails::default()
        }),
    }
}

/// Writes the chunks of one stream as frames.
#[derive(Debug)]
pub struct ChunkWriter {
    /// The bytes of every chunk up to its choices, encoded once.
    before: Vec<u8>,
    /// The bytes behind the choices, with `"usage":null` if the client requested usage.
    after: &'static [u8],
    scratch: Vec<u8>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: (),
    finish_reason: Option<FinishReason>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Delta<'a> {
    First { role: &'a str, content: &'a str, refusal: () },
    Text { content: &'a str },
    Last {},
}

impl ChunkWriter {
    /// A writer for one stream.
    #[must_use]
    pub fn new(head: &CompletionHead, include_usage: bool) -> Self {
        #[derive(Serialize)]
        struct Before<'a> {
            id: &'a str,
            object: &'a str,
            created: i64,
            model: &'a str,
            service_tier: &'a str,
            system_fingerprint: &'a str,
        }
        let mut before = json(&Before {
            id: &head.id,
            object: "chat.completion.chunk",
            created: head.created,
            model: &head.model,
            service_tier: "default",
            system_fingerprint: FINGERPRINT,
        });
        before.pop();
        before.extend_from_slice(b",\"choices\":[");
        Self { before, after: if include_usage { b"],\"usage\":null}" } else { b"]}" }, scratch: Vec::new() }
    }

    /// Appends the first chunk of choice `index`, which has the role.
    pub fn first(&mut self, out: &mut BytesMut, index: u32) {
        self.choice(out, index, Delta::First { role: "assistant", content: "", refusal: () }, None);
    }

    /// Appends a chunk with text.
    pub fn text(&mut self, out: &mut BytesMut, index: u32, content: &str) {
        self.choice(out, index, Delta::Text { content }, None);
    }

    /// Appends the chunk that finishes choice `index`.
    pub fn last(&mut self, out: &mut BytesMut, index: u32, reason: FinishReason) {
        self.choice(out, index, Delta::Last {}, Some(reason));
    }

    /// Appends the chunk with the token counts, for clients that requested usage.
    pub fn usage(&mut self, out: &mut BytesMut, usage: &CompletionUsage) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.before);
        self.scratch.extend_from_slice(b"],\"usage\":");
        self.scratch.extend_from_slice(&json(usage));
        self.scratch.push(b'}');
        push_frame(out, &self.scratch);
    }

    fn choice(&mut self, out: &mut BytesMut, index: u32, delta: Delta<'_>, finish_reason: Option<FinishReason>) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.before);
        // Writing to a Vec can't fail.
        let _ = serde_json::to_writer(&mut self.scratch, &Choice { index, delta, logprobs: (), finish_reason });
        self.scratch.extend_from_slice(self.after);
        push_frame(out, &self.scratch);
    }
}

/// A whole completion; `choices` are text and finish reason of each choice.
#[must_use]
pub fn completion(head: &CompletionHead, choices: &[(String, FinishReason)], usage: &CompletionUsage) -> Vec<u8> {
    #[derive(Serialize)]
    struct Message<'a> {
        role: &'a str,
        content: &'a str,
        refusal: (),
        annotations: [(); 0],
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        index: usize,
        message: Message<'a>,
        logprobs: (),
        finish_reason: FinishReason,
    }
    #[derive(Serialize)]
    struct Completion<'a> {
        id: &'a str,
        object: &'a str,
        created: i64,
        model: &'a str,
        choices: Vec<Whole<'a>>,
        usage: &'a CompletionUsage,
        service_tier: &'a str,
        system_fingerprint: &'a str,
    }
    let choices = choices.iter().enumerate().map(|(index, (content, reason))| Whole {
        index,
        message: Message { role: "assistant", content, refusal: (), annotations: [] },
        logprobs: (),
        finish_reason: *reason,
    });
    json(&Completion {
        id: &head.id,
        object: "chat.completion",
        created: head.created,
        model: &head.model,
        choices: choices.collect(),
        usage,
        service_tier: "default",
        system_fingerprint: FINGERPRINT,
    })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Serialising structs of strings and numbers can't fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> CompletionHead {
        CompletionHead { id: "chatcmpl-1".into(), created: 7, model: "petstore-ai".into() }
    }

    #[test]
    fn a_stream_has_the_members_of_openais_api_in_order() {
        let mut out = BytesMut::new();
        let mut writer = ChunkWriter::new(&head(), true);
        writer.first(&mut out, 0);
        writer.text(&mut out, 0, "a \"cat\"\n");
        writer.last(&mut out, 0, FinishReason::Stop);
        writer.usage(&mut out, &usage(2, 1));
        insta::assert_snapshot!(String::from_utf8(out.to_vec()).unwrap());
    }

    #[test]
    fn a_client_that_did_not_request_usage_gets_none() {
        let mut out = BytesMut::new();
        ChunkWriter::new(&head(), false).text(&mut out, 3, "x");
        assert!(!String::from_utf8(out.to_vec()).unwrap().contains("usage"));
    }

    #[test]
    fn a_completion_has_the_members_of_openais_api_in_order() {
        let body = completion(&head(), &[("hi".into(), FinishReason::Length)], &usage(2, 1));
        insta::assert_snapshot!(String::from_utf8(body).unwrap());
    }
}
