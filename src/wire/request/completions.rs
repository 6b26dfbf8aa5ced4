//! A request of OpenAI's older completions API: a prompt instead of messages.

use bytes::Bytes;

use super::check;
use super::conversation::ConversationAt;
use super::forwarded_body::UsageEdit;
use super::inference_request::InferenceRequest;
use super::invalid_request::InvalidRequest;
use super::named_members::NamedMembers;
use super::prompt_size::inputs;
use super::rules::{Checks, RequestRules, UnknownMembers};
use super::values::{lenient_integer, lenient_integer_in};
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::operation::Operation;

/// The members that OpenAI's API defines.
const MEMBERS: &[&str] = &[
    "model",
    "prompt",
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "top_p",
    "user",
];

/// The largest `n`, the largest `best_of`, and the most choices of a stream.
const MAX_CHOICES: i64 = 128;

impl InferenceRequest {
    /// Parses and checks the body of a request of a completion of a prompt; a UTF-8 byte-order mark before it is removed.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first thing that is wrong.
    pub fn completion(body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        let body = without_mark(body);
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
        let members = NamedMembers::read(text, MEMBERS, rules)?;
        let model = check::model(members.get("model"))?;
        let checks = if rules.unknown == UnknownMembers::Refuse { Checks::OpenAi } else { Checks::Routing };
        let stream = check::stream(members.get("stream"))?;
        let options = check::stream_options(members.get("stream_options"), stream, checks)?;
        let count = |name| members.get(name).map_or(Ok(1), |value| lenient_integer_in(name, value, 1, MAX_CHOICES));
        let (n, best_of) = (count("n")?, count("best_of")?);
        let max_tokens = members.get("max_tokens").map(|value| lenient_integer("max_tokens", value)).transpose()?;
        // Some servers take embeddings in place of a prompt, so that it may be absent.
        let prompt = members.get("prompt").map(|prompt| inputs("prompt", prompt)).transpose()?.unwrap_or_default();
        // Of each prompt `best_of` choices are generated, and `n` of them answered.
        let prompts = prompt.count.max(1);
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        let of_choice = max_tokens.and_then(positive);
        let generated = positive(n.max(best_of)).unwrap_or(1);
        let n = positive(n).unwrap_or(1).saturating_mul(prompts);
        if stream && n > MAX_CHOICES.unsigned_abs() {
            // Which choices of a stream have begun and ended is known of so many.
            let text = format!("A stream has at most {MAX_CHOICES} choices: 'n' for each prompt. Here are {n}.");
            return Err(InvalidRequest::conflict("prompt", &text));
        }
        Ok(Self {
            operation: Operation::Completions,
            model_at: members.get("model").map(|value| span(text, value)).unwrap_or_default(),
            // Of a prompt it is not known where its first turn ends.
            conversation_at: ConversationAt::new(text, [members.get("user")], None, None),
            usage_edit: UsageEdit::new(text, members.raw("stream_options"), &options),
            prompt_estimate: prompt.tokens,
            include_usage: options.include_usage,
            // For all generated choices, as if it were `n` of them.
            max_tokens: of_choice.map(|most| most.saturating_mul(generated.saturating_mul(prompts)).div_ceil(n)),
            other_models: members.other_models,
            model,
            stream,
            n,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::RequestedUsage;

    const RULES: RequestRules = RequestRules { json_depth: 16, unknown: UnknownMembers::Pass, local_model: None };

    fn parsed(body: &str) -> Result<InferenceRequest, InvalidRequest> {
        InferenceRequest::completion(Bytes::copy_from_slice(body.as_bytes()), &RULES)
    }

    #[test]
    fn prompts_of_each_form_are_measured() {
        for (prompt, tokens, choices) in [
            (r#""12345678""#, 2, 1),
            (r#"["12345678","1234"]"#, 3, 2),
            ("[1,2,3]", 3, 1),
            ("[[1,2,3],[4]]", 4, 2),
            ("null", 0, 1),
        ] {
            let request = parsed(&format!(r#"{{"model":"m","prompt":{prompt}}}"#)).unwrap();
            assert_eq!((request.prompt_estimate, request.n), (tokens, choices), "{prompt}");
            assert_eq!((request.operation, request.stream, request.max_tokens), (Operation::Completions, false, None));
        }
    }

    #[test]
    fn tokens_of_all_generated_choices_count() {
        let body = r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":3,"max_tokens":10}"#;
        let request = parsed(body).unwrap();
        assert_eq!((request.n, request.max_tokens), (4, Some(15)), "3 x 2 x 10 tokens");
    }

    #[test]
    fn a_stream_has_at_most_128_choices() {
        let body = |prompts: usize, stream: bool| {
            format!(r#"{{"model":"m","prompt":{:?},"n":2,"stream":{stream}}}"#, vec!["a"; prompts])
        };
        assert_eq!(parsed(&body(64, true)).unwrap().n, 128);
        assert_eq!(parsed(&body(65, false)).unwrap().n, 130);
        let refused = parsed(&body(65, true)).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("prompt"));
        assert!(refused.message.contains("at most 128 choices") && refused.message.ends_with("Here are 130."));
    }

    #[test]
    fn the_body_is_forwarded_as_it_came_with_usage_requested() {
        let request = parsed(r#"{"prompt":"a", "top_k":1.50, "stream":true, "model":"m"}"#).unwrap();
        assert_eq!(request.forward(None, RequestedUsage::None).to_vec(), request.body().to_vec());
        let forwarded = request.forward(Some("x"), RequestedUsage::Final).to_vec();
        let expected =
            r#"{"stream_options":{"include_usage":true},"prompt":"a", "top_k":1.50, "stream":true, "model":"x"}"#;
        assert_eq!(forwarded, expected.as_bytes());
    }

    #[test]
    fn wrong_bodies_name_what_is_wrong() {
        for (body, param) in [
            (r#"{"prompt":"a"}"#, None),
            (r#"{"model":"m","prompt":1}"#, Some("prompt")),
            (r#"{"model":"m","prompt":[]}"#, Some("prompt")),
            (r#"{"model":"m","prompt":["a",1]}"#, Some("prompt[1]")),
            (r#"{"model":"m","prompt":[1,"a"]}"#, Some("prompt[1]")),
            (r#"{"model":"m","prompt":[[1],[true]]}"#, Some("prompt[1][0]")),
            (r#"{"model":"m","prompt":"a","prompt":"b"}"#, Some("prompt")),
            (r#"{"model":"m","Prompt":"a"}"#, Some("Prompt")),
            (r#"{"model":"m","n":129}"#, Some("n")),
            (r#"{"model":"m","best_of":0}"#, Some("best_of")),
            (r#"{"model":"m","stream":1}"#, Some("stream")),
            ("[]", None),
            (r#"{"model":"m","prompt":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}"#, None),
        ] {
            assert_eq!(parsed(body).unwrap_err().param.as_deref(), param, "{body}");
        }
        let strict = RequestRules { unknown: UnknownMembers::Refuse, ..RULES };
        let unknown =
            InferenceRequest::completion(r#"{"model":"m","prompt":"a","top_k":1}"#.into(), &strict).unwrap_err();
        assert_eq!(unknown.param.as_deref(), Some("top_k"));
    }

    #[test]
    fn members_that_name_other_models_are_found() {
        let request = parsed(r#"{"model":"m","prompt":"a","extra_body":{"model":"x"}}"#).unwrap();
        assert_eq!(request.other_models.as_deref(), Some("extra_body.model"));
    }
}
