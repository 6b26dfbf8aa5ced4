//! Requests that OpenAI's API rejects, and bodies that are forwarded byte for byte.

mod complexity;
mod conversation;
mod lenient;
mod prompt;

use bytes::Bytes;

use super::*;

const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

/// OpenAI's ranges hold for the model `m` only.
const RULES: RequestRules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: Some("m") };

fn parse(body: &str) -> Result<InferenceRequest, InvalidRequest> {
    InferenceRequest::chat(Bytes::copy_from_slice(body.as_bytes()), &RULES)
}

/// The body that an upstream gets.
fn forwarded(request: &InferenceRequest, model: Option<&str>, ask: RequestedUsage) -> String {
    let forwarded = request.forward(model, ask);
    let all = String::from_utf8(forwarded.to_vec()).unwrap();
    assert_eq!(all.len(), forwarded.len());
    all
}

/// A valid request with `more` added is rejected: code, param, message.
fn rejected(more: &str) -> (Option<&'static str>, Option<String>, String) {
    let invalid = parse(&format!(r#"{{"model":"m",{MESSAGES},{more}}}"#)).unwrap_err();
    (invalid.code, invalid.param, invalid.message)
}

/// A rejected body: body, code, parameter, beginning of the message.
type Rejection = (&'static str, Option<&'static str>, Option<&'static str>, &'static str);

const REJECTIONS: &[Rejection] = &[
    ("", None, None, "We could not parse the JSON body"),
    ("[]", None, None, "We could not parse the JSON body"),
    ("{\"model\":\"m\"", None, None, "We could not parse the JSON body"),
    ("{}", None, None, "you must provide a model parameter"),
    (r#"{"model":null}"#, None, None, "you must provide a model parameter"),
    (
        r#"{"model":1}"#,
        Some("invalid_type"),
        Some("model"),
        "Invalid type for 'model': expected a string, but got an integer instead.",
    ),
    (
        r#"{"model":"m"}"#,
        Some("missing_required_parameter"),
        Some("messages"),
        "Missing required parameter: 'messages'.",
    ),
    (
        r#"{"model":"m","messages":"x"}"#,
        Some("invalid_type"),
        Some("messages"),
        "Invalid type for 'messages': expected an array of objects, but got a string instead.",
    ),
    (
        r#"{"model":"m","messages":[]}"#,
        Some("empty_array"),
        Some("messages"),
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    (
        r#"{"model":"m","messages":[{"content":"x"}]}"#,
        Some("missing_required_parameter"),
        Some("messages[0].role"),
        "Missing required parameter: 'messages[0].role'.",
    ),
    (
        r#"{"model":"m","messages":[{"role":"test","content":"x"}]}"#,
        Some("invalid_value"),
        Some("messages[0].role"),
        "Invalid value: 'test'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and \
         'developer'.",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":7}]}"#,
        Some("invalid_type"),
        Some("messages[0].content"),
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer \
         instead.",
    ),
    (
        r#"{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
        Some("missing_required_parameter"),
        Some("messages[0].content[0].type"),
        "Missing required parameter: 'messages[0].content[0].type'.",
    ),
    (
        r#"{"model":"m","model":"n","messages":[]}"#,
        Some("duplicate_parameter"),
        Some("model"),
        "Duplicate parameter: 'model' stands more than once.",
    ),
    (
        r#"{"model":"m","m\u006fdel":"n","messages":[]}"#,
        Some("duplicate_parameter"),
        Some("model"),
        "Duplicate parameter: 'model' stands more than once.",
    ),
];

#[test]
fn rejections_have_openais_code_param_and_message() {
    for (body, code, param, message) in REJECTIONS {
        let invalid = parse(body).unwrap_err();
        assert_eq!((invalid.code, invalid.param.as_deref()), (*code, *param), "{body}");
        assert!(invalid.message.starts_with(message), "{body}: {}", invalid.message);
    }
}

#[test]
fn parameters_are_checked_for_type_and_range() {
    let cases = [
        (
            r#""temperature":99.0"#,
            "decimal_above_max_value",
            "temperature",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead.",
        ),
        (r#""top_p":-1"#, "decimal_below_min_value", "top_p", "Invalid 'top_p': decimal below minimum value."),
        (r#""presence_penalty":"x""#, "invalid_type", "presence_penalty", "Invalid type for 'presence_penalty'"),
        (
            r#""n":0"#,
            "integer_below_min_value",
            "n",
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (r#""n":129"#, "integer_above_max_value", "n", "Invalid 'n': integer above maximum value."),
        (r#""n":1.5"#, "invalid_type", "n", "Invalid type for 'n': expected an integer, but got a decimal instead."),
        (r#""max_tokens":-5"#, "integer_below_min_value", "max_tokens", "Invalid 'max_tokens'"),
        (r#""max_completion_tokens":0"#, "integer_below_min_value", "max_completion_tokens", "Invalid 'max_comp"),
        (r#""seed":99999999999999999999"#, "integer_above_max_value", "seed", "Invalid 'seed'"),
        (r#""stop":["a","b","c","d","e"]"#, "array_above_max_length", "stop", "Invalid 'stop': array too long."),
        (r#""stop":[1]"#, "invalid_type", "stop[0]", "Invalid type for 'stop[0]'"),
        (r#""stop":[]"#, "empty_array", "stop", "Invalid 'stop': empty array."),
        (r#""stream":"yes""#, "invalid_type", "stream", "Invalid type for 'stream'"),
        (r#""response_format":{"type":"xml"}"#, "invalid_value", "response_format.type", "Invalid value: 'xml'."),
        (r#""response_format":{}"#, "missing_required_parameter", "response_format.type", "Missing"),
        (r#""tools":{}"#, "invalid_type", "tools", "Invalid type for 'tools'"),
        (r#""tools":[{}]"#, "missing_required_parameter", "tools[0].type", "Missing"),
        (r#""tool_choice":"maybe""#, "invalid_value", "tool_choice", "Invalid value: 'maybe'."),
        (r#""metadata":{"a":1}"#, "invalid_type", "metadata.a", "Invalid type for 'metadata.a'"),
        (r#""top_logprobs":21,"logprobs":true"#, "integer_above_max_value", "top_logprobs", "Invalid 'top_logprobs'"),
        (r#""stream":true,"stream_options":{"include_usage":1}"#, "invalid_type", "stream_options.include_usage", ""),
        (r#""stream":true,"stream":true"#, "duplicate_parameter", "stream", "Duplicate"),
    ];
    for (more, code, param, message) in cases {
        let found = rejected(more);
        assert_eq!((found.0, found.1.as_deref()), (Some(code), Some(param)), "{more}");
        assert!(found.2.starts_with(message), "{more}: {}", found.2);
    }
    assert_eq!(rejected(r#""stream_options":{"include_usage":true}"#).1.as_deref(), Some("stream_options"));
    assert_eq!(rejected(r#""top_logprobs":2"#).1.as_deref(), Some("top_logprobs"));
}

#[test]
fn null_equals_absent_and_unknown_parameters_pass_unless_strict() {
    let body = format!(
        r#"{{"model":"m",{MESSAGES},"stream":null,"n":null,"stop":null,"stream_options":null,"top_k":3,"ignore_eos":true}}"#
    );
    let request = parse(&body).unwrap();
    assert_eq!((request.stream, request.n, request.include_usage), (false, 1, false));
    let strict = InferenceRequest::chat(Bytes::from(body), &RequestRules { unknown: UnknownMembers::Refuse, ..RULES })
        .unwrap_err();
    assert_eq!((strict.code, strict.message.as_str()), (Some("unknown_parameter"), "Unknown parameter: 'top_k'."));
}

#[test]
fn nesting_beyond_the_limit_is_rejected() {
    let body = format!(r#"{{"model":"m",{MESSAGES},"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(parse(&body).unwrap_err().message.contains("nests deeper than 128"));
    // The body, its list of messages, and a message.
    let body = format!(r#"{{"model":"m",{MESSAGES}}}"#);
    for (deepest, good) in [(1, false), (2, false), (3, true)] {
        let parsed = InferenceRequest::chat(Bytes::from(body.clone()), &RequestRules { json_depth: deepest, ..RULES });
        assert_eq!(parsed.is_ok(), good, "{deepest}");
    }
}

#[test]
fn a_body_is_forwarded_byte_for_byte() {
    let body = format!(r#" {{ "seed": 9007199254740993 , "model":"m", {MESSAGES}, "x": 1.10e2, "é":"\u00e9" }} "#);
    let request = parse(&body).unwrap();
    assert_eq!(forwarded(&request, None, RequestedUsage::Final), body);
    assert_eq!(forwarded(&request, Some("m"), RequestedUsage::Final), body);
    let renamed = forwarded(&request, Some("real \"one\""), RequestedUsage::Final);
    assert_eq!(renamed, body.replace(r#""model":"m""#, r#""model":"real \"one\"""#));
}

#[test]
fn usage_is_requested_by_a_minimal_edit() {
    let ask = |options: &str| {
        let body = format!(r#"{{"model":"m",{MESSAGES},"stream":true{options}}}"#);
        let request = parse(&body).unwrap();
        assert_eq!(forwarded(&request, None, RequestedUsage::None), body, "unchanged without a request for usage");
        let forwarded = forwarded(&request, None, RequestedUsage::Final);
        let value: serde_json::Value = serde_json::from_str(&forwarded).unwrap();
        assert_eq!(value["stream_options"]["include_usage"], true, "{forwarded}");
        (body == forwarded, value["stream_options"].clone())
    };
    for options in ["", r#","stream_options":null"#, r#","stream_options":{}"#, r#","stream_options":{ }"#] {
        assert!(!ask(options).0);
    }
    assert!(!ask(r#","stream_options":{"include_usage":false}"#).0);
    assert!(ask(r#","stream_options":{"include_usage":true}"#).0);
    let (_, options) = ask(r#","stream_options":{"continuous_usage_stats":true}"#);
    assert_eq!(options["continuous_usage_stats"], true);
}

#[test]
fn model_and_usage_are_edited_together_in_either_order() {
    for body in [
        r#"{"stream_options":{},"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream_options":{},"stream":true}"#,
    ] {
        let request = parse(body).unwrap();
        let forwarded = forwarded(&request, Some("other"), RequestedUsage::Continuous);
        let value: serde_json::Value = serde_json::from_str(&forwarded).unwrap();
        assert_eq!((&value["model"], &value["stream_options"]["include_usage"]), (&"other".into(), &true.into()));
        assert_eq!(value["stream_options"]["continuous_usage_stats"], true);
    }
}

#[test]
fn plain_messages_and_others_follow_the_same_rules() {
    let parsed = |messages: &str| {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        parse(&body).map(|_| ())
    };
    for good in [
        r#"[{"role":"user","content":"a"},{"content":"b","role":"assistant","x":[{}]}]"#,
        r#"[{"role":"us\u0065r","content":"a"}]"#,
        r#"[{"role":"assistant","content":null},{"role":"tool","tool_call_id":"1","content":"a"}]"#,
    ] {
        assert!(parsed(good).is_ok(), "{good}");
    }
    for bad in [
        r#"[{"role":"user","content":"a"},{"role":"user"}]"#,
        r#"[{"role":"user","content":"a"},{"role":"nobody","content":"a"}]"#,
        r#"[{"role":"user","content":"a","name":1}]"#,
        r#"[{"role":"user","content":"a","content":3}]"#,
        r#"[{"role":"user","role":"system","content":"a"}]"#,
        r#"[{"role":"user","Content":"b","content":"a"}]"#,
        r#"[{"role":"user","content":[{"type":"text","text":"a","Text":"b"}]}]"#,
        r#"[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"a"}]"#,
        r#"[{"role":"user","content":"a"}],"messages":3"#,
        r#"3,"messages":[{"role":"user","content":"a"}]"#,
        r#"[{"role":"user","content":"a"},]"#,
        r#"[{"role":"user","content":"a"}"#,
        "[[]]",
        "[]",
    ] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}
