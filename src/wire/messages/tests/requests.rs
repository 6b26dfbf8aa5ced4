//! Requests: checks, and their translation.

use serde_json::{Value, json};

use crate::wire::messages;
use crate::wire::request::{InferenceRequest, InvalidRequest, RequestedUsage};
use crate::wire::translation::request_fixtures::{self, RULES};

fn parse(body: &str) -> Result<InferenceRequest, InvalidRequest> {
    messages::parse(body.to_owned().into(), &RULES)
}

/// A request with further members; they replace its own.
fn with(more: &Value) -> String {
    request_fixtures::with(json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}), more)
}

/// The chat request that such a request becomes.
fn chat(more: &Value) -> Value {
    let text = parse(&with(more)).and_then(|request| messages::to_chat(&request)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn messages(messages: &Value) -> Value {
    chat(&json!({ "messages": messages }))["messages"].clone()
}

/// Code and parameter of the error of such a request.
fn refused(more: &Value) -> (Option<&'static str>, Option<String>) {
    let body = with(more);
    let error = parse(&body).and_then(|request| messages::to_chat(&request)).expect_err(&body);
    (error.code, error.param)
}

#[test]
fn routing_and_limits_get_what_they_need() {
    let body = r#"{"max_tokens":7,"messages":[{"role":"user","content":"12345678"}],"stream":true,"model":"m","x":1}"#;
    let request = parse(body).unwrap();
    assert_eq!((&*request.model, request.stream, request.max_tokens), ("m", true, Some(7)));
    assert_eq!(request.prompt_estimate, 4 + 2);
    assert_eq!(request.forward(None, RequestedUsage::Final).to_vec(), body.as_bytes());
    let renamed = String::from_utf8(request.forward(Some("n"), RequestedUsage::Final).to_vec()).unwrap();
    assert_eq!(renamed, body.replace(r#""m""#, r#""n""#));
    let image = json!([{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"A".repeat(9000)}}]}]);
    assert_eq!(parse(&with(&json!({ "messages": image }))).unwrap().prompt_estimate, 1_004);
}

#[test]
fn what_is_wrong_is_named() {
    for (more, code, param) in [
        (json!({"max_tokens":null}), "missing_required_parameter", "max_tokens"),
        (json!({"max_tokens":0}), "integer_below_min_value", "max_tokens"),
        (json!({"messages":[]}), "empty_array", "messages"),
        (json!({"messages":3}), "invalid_type", "messages"),
        (json!({"messages":[{"content":"a"}]}), "missing_required_parameter", "messages[0].role"),
        (json!({"messages":[{"role":"tool","content":"a"}]}), "invalid_value", "messages[0].role"),
        (json!({"messages":[{"role":"user"}]}), "missing_required_parameter", "messages[0].content"),
        (
            json!({"messages":[{"role":"user","content":[{"type":"text"}]}]}),
            "missing_required_parameter",
            "messages[0].content[0].text",
        ),
        (json!({"stream":1}), "invalid_type", "stream"),
        (json!({"stop_sequences":[1]}), "invalid_type", "stop_sequences[0]"),
        (json!({"tools":[{"name":"f"}]}), "missing_required_parameter", "tools[0].input_schema"),
        (json!({"tool_choice":{"type":"maybe"}}), "invalid_value", "tool_choice.type"),
        (json!({"model":"petstore-ai","temperature":1.5}), "decimal_above_max_value", "temperature"),
        (json!({"model":"petstore-ai","foo":1}), "unknown_parameter", "foo"),
    ] {
        assert_eq!(refused(&more), (Some(code), Some(param.to_owned())), "{more}");
    }
    for body in [
        r#"{"model":"m","model":"n","max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#,
        r#"{"model":"m","Max_Tokens":2,"max_tokens":1,"messages":[{"role":"user","content":"a"}]}"#,
        r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a","Content":"b"}]}"#,
        r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}]"#,
        "[]",
        "",
    ] {
        assert!(parse(body).is_err(), "{body}");
    }
    let deep = format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    assert!(parse(&deep).unwrap_err().message.contains("nests deeper than 32"));
}

#[test]
fn what_has_no_counterpart_is_named() {
    let content = |block: Value| json!({"messages":[{"role":"user","content":[block]}]});
    for (more, param) in [
        (json!({"top_k":3}), "top_k"),
        (json!({"foo":3}), "foo"),
        (json!({"container":"c"}), "container"),
        (json!({"tools":[{"type":"web_search_20250305","name":"web_search"}]}), "tools[0].type"),
        (json!({"tools":[{"name":"f","input_schema":{},"input_examples":[{}]}]}), "tools[0].input_examples"),
        (json!({"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}), "context_management.edits[0]"),
        (json!({"metadata":{"other":"x"}}), "metadata.other"),
        (content(json!({"type":"search_result"})), "messages[0].content[0].type"),
        (content(json!({"type":"image","source":{"type":"file","file_id":"f"}})), "messages[0].content[0].source.type"),
        (content(json!({"type":"text","text":"a","new":1})), "messages[0].content[0].new"),
    ] {
        assert_eq!(refused(&more), (Some("unsupported_parameter"), Some(param.to_owned())), "{more}");
    }
}

#[test]
fn parameters_are_translated() {
    let found = chat(&json!({
        "system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b\n"}],
        "stream":true,"temperature":0.5,"top_p":0.25,"stop_sequences":["x"],"metadata":{"user_id":"u"},
        "thinking":{"type":"enabled","budget_tokens":1024},"service_tier":"standard_only",
        "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
        "tools":[{"name":"f","description":"d","input_schema":{"type":"object"},"cache_control":null}],
        "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
        "output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object"}}},
    }));
    let expected = json!({
        "model":"m",
        "messages":[{"role":"system","content":"a\nb\n"},{"role":"user","content":"Hi"}],
        "stream":true,"max_completion_tokens":9,
        "temperature":0.5,"top_p":0.25,"stop":["x"],
        "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
        "tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,
        "reasoning_effort":"low",
        "response_format":{"type":"json_schema","json_schema":{"name":"output","schema":{"type":"object"},"strict":true}},
        "user":"u","service_tier":"default",
    });
    assert_eq!(found, expected);
    assert_eq!(chat(&json!({"tool_choice":{"type":"any"}}))["tool_choice"], "required");
    assert_eq!(chat(&json!({"tools":[],"stop_sequences":[]})), chat(&json!({})));
}

#[test]
fn results_of_tools_come_before_the_rest_of_a_users_message() {
    let found = messages(&json!([
        {"role":"assistant","content":[{"type":"text","text":"I'll "},{"type":"text","text":"look."},
            {"type":"tool_use","id":"t1","name":"f","input":{"a":"\"x\""}},{"type":"tool_use","id":"t2","name":"g","input":{}}]},
        {"role":"user","content":[{"type":"text","text":"And?"},
            {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"one"},{"type":"text","text":"two"},
                {"type":"image","source":{"type":"url","url":"https://a/b.png"}}]},
            {"type":"tool_result","tool_use_id":"t2","content":"gone","is_error":true}]},
    ]));
    let expected = json!([
        {"role":"assistant","content":"I'll look.","tool_calls":[
            {"id":"t1","type":"function","function":{"name":"f","arguments":"{\"a\":\"\\\"x\\\"\"}"}},
            {"id":"t2","type":"function","function":{"name":"g","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"t1","content":"one\ntwo"},
        {"role":"tool","tool_call_id":"t2","content":"Error: gone"},
        {"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/b.png"}},{"type":"text","text":"And?"}]},
    ]);
    assert_eq!(found, expected);
    let only_results = json!([{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]);
    assert_eq!(messages(&only_results), json!([{"role":"tool","tool_call_id":"t","content":""}]));
}

#[test]
fn images_documents_and_thinking_are_translated() {
    let found = messages(&json!([
        {"role":"system","content":"s"},
        {"role":"user","content":[{"type":"text","text":"a"},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAA="}},
            {"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"d"}},
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVB="}}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"ours","signature":"petstream.reasoning"},
            {"type":"redacted_thinking","data":"x"},{"type":"text","text":"b"}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"theirs","signature":"EqQBCg"},{"type":"text","text":"c"}]},
    ]));
    let expected = json!([
        {"role":"system","content":"s"},
        {"role":"user","content":[{"type":"text","text":"a"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AAA="}},
            {"type":"text","text":"T\nd"},
            {"type":"file","file":{"filename":"document","file_data":"data:application/pdf;base64,JVB="}}]},
        {"role":"assistant","content":"b","reasoning":"ours"},
        {"role":"assistant","content":"c"},
    ]);
    assert_eq!(found, expected);
}

#[test]
fn members_that_may_name_other_models_are_found() {
    for (more, path) in [
        (json!({"fallbacks":["x"]}), Some("fallbacks")),
        (json!({"tools":[{"type":"advisor_20260301","name":"advisor","model":"x"}]}), Some("tools[0].model")),
        (json!({"tools":[{"name":"f","input_schema":{"properties":{"model":{}}}}]}), None),
    ] {
        assert_eq!(parse(&with(&more)).unwrap().other_models.as_deref(), path, "{more}");
    }
}

#[test]
fn a_request_to_count_tokens_needs_no_limit() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    assert!(parse(body).is_err());
    let request = messages::parse_count(body.into(), &RULES).unwrap();
    assert_eq!(messages::to_chat(&request).unwrap(), body);
}
