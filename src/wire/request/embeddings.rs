//! A request of embeddings.

use bytes::Bytes;

use super::check::{self, StreamOptions};
use super::conversation::ConversationAt;
use super::forwarded_body::UsageEdit;
use super::inference_request::InferenceRequest;
use super::invalid_request::InvalidRequest;
use super::named_members::NamedMembers;
use super::prompt_size::inputs;
use super::rules::RequestRules;
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::operation::Operation;

/// The members that OpenAI's API defines, and `stream`, which is refused.
const MEMBERS: &[&str] = &["model", "input", "dimensions", "encoding_format", "user", "stream"];

impl InferenceRequest {
    /// Parses and checks the body of a request of embeddings; a UTF-8 byte-order mark before it is removed.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first thing that is wrong.
    pub fn embeddings(body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        let body = without_mark(body);
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
        let members = NamedMembers::read(text, MEMBERS, rules)?;
        let model = check::model(members.get("model"))?;
        if check::stream(members.get("stream"))? {
            return Err(InvalidRequest::conflict("stream", "Embeddings are not streamed."));
        }
        let input = members.get("input").ok_or_else(|| InvalidRequest::missing("input"))?;
        let input = inputs("input", input)?;
        Ok(Self {
            operation: Operation::Embeddings,
            model_at: members.get("model").map(|value| span(text, value)).unwrap_or_default(),
            conversation_at: ConversationAt::default(),
            usage_edit: UsageEdit::new(text, None, &StreamOptions::default()),
            prompt_estimate: input.tokens,
            include_usage: false,
            max_tokens: None,
            other_models: members.other_models,
            model,
            stream: false,
            n: 1,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::{RequestedUsage, UnknownMembers};

    const RULES: RequestRules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };

    fn parsed(body: &str) -> Result<InferenceRequest, InvalidRequest> {
        InferenceRequest::embeddings(Bytes::copy_from_slice(body.as_bytes()), &RULES)
    }

    #[test]
    fn inputs_of_each_form_are_measured_and_forwarded_as_they_came() {
        for (input, tokens) in [
            (r#""12345678""#, 2),
            (r#"["1234","12345678"]"#, 3),
            ("[1, 2, 3]", 3),
            ("[[1,2],[3]]", 3),
            (r#"{"a":1}"#, 1),
        ] {
            let body = format!(r#"{{"input": {input}, "model":"m","encoding_format":"base64"}}"#);
            let request = parsed(&body);
            if input.starts_with('{') {
                assert_eq!(request.unwrap_err().param.as_deref(), Some("input"));
                continue;
            }
            let request = request.unwrap();
            assert_eq!((request.prompt_estimate, request.max_tokens, request.stream), (tokens, None, false), "{input}");
            assert_eq!(request.forward(None, RequestedUsage::Final).to_vec(), body.as_bytes());
            let renamed = String::from_utf8(request.forward(Some("x"), RequestedUsage::Final).to_vec()).unwrap();
            assert_eq!(renamed, body.replace(r#""model":"m""#, r#""model":"x""#));
        }
    }

    #[test]
    fn wrong_bodies_name_what_is_wrong() {
        for (body, param) in [
            (r#"{"input":"a"}"#, None),
            (r#"{"model":"m"}"#, Some("input")),
            (r#"{"model":"m","input":null}"#, Some("input")),
            (r#"{"model":"m","input":[]}"#, Some("input")),
            (r#"{"model":"m","input":["a",[1]]}"#, Some("input[1]")),
            (r#"{"model":"m","input":"a","stream":true}"#, Some("stream")),
            (r#"{"model":"m","model":"n","input":"a"}"#, Some("model")),
            (r#"{"model":"m","INPUT":"a"}"#, Some("INPUT")),
        ] {
            assert_eq!(parsed(body).unwrap_err().param.as_deref(), param, "{body}");
        }
    }
}
