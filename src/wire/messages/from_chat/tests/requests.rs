//! Requests: what is refused, what is left out.

use serde_json::{Value, json};

use crate::wire::messages::from_chat::{DEFAULT_MAX_TOKENS, request};
use crate::wire::request::{InferenceRequest, InvalidRequest};
use crate::wire::translation::request_fixtures::{self, RULES};

/// A request with further members; they replace its own.
fn translate(more: &Value) -> Result<Value, InvalidRequest> {
    let body = request_fixtures::with(json!({"model":"m","messages":[{"role":"user","content":"Hi"}]}), more);
    let request = InferenceRequest::chat(body.into(), &RULES).and_then(|parsed| request(&parsed, None))?;
    Ok(serde_json::from_str(&request).unwrap())
}

fn messages(of: &Value) -> Result<Value, InvalidRequest> {
    Ok(translate(&json!({ "messages": of }))?["messages"].clone())
}

/// Code and parameter of the error of such a request.
fn refused(more: &Value) -> (Option<&'static str>, Option<String>) {
    let error = translate(more).map(|body| body.to_string()).expect_err(&more.to_string());
    (error.code, error.param)
}

#[test]
fn what_has_no_counterpart_is_named() {
    let part = |part: Value| json!({"messages":[{"role":"user","content":[part]}]});
    let message = |message: Value| json!({"messages":[message]});
    for (more, param) in [
        (json!({"seed":3}), "seed"),
        (json!({"min_p":0.1}), "min_p"),
        (json!({"n":2}), "n"),
        (json!({"frequency_penalty":0.5}), "frequency_penalty"),
        (json!({"logprobs":true}), "logprobs"),
        (json!({"logit_bias":{"1":2}}), "logit_bias"),
        (json!({"store":true}), "store"),
        (json!({"verbosity":"low"}), "verbosity"),
        (json!({"prediction":{"type":"content","content":"a"}}), "prediction"),
        (json!({"functions":[{"name":"f"}]}), "functions"),
        (json!({"web_search_options":{}}), "web_search_options"),
        (json!({"response_format":{"type":"json_object"}}), "response_format.type"),
        (
            json!({"response_format":{"type":"json_schema","json_schema":{"name":"a","description":"d","schema":{}}}}),
            "response_format.json_schema.description",
        ),
        (json!({"tools":[{"type":"custom","custom":{"name":"f"}}]}), "tools[0].type"),
        (json!({"tools":[{"type":"function","function":{"name":"f","new":1}}]}), "tools[0].function.new"),
        (json!({"tool_choice":{"type":"allowed_tools","allowed_tools":{}}}), "tool_choice.type"),
        (part(json!({"type":"input_audio","input_audio":{}})), "messages[0].content[0].type"),
        (part(json!({"type":"text","text":"a","new":1})), "messages[0].content[0].new"),
        (part(json!({"type":"file","file":{"file_id":"f"}})), "messages[0].content[0].file.file_id"),
        (
            part(json!({"type":"image_url","image_url":{"url":"https://a/b.png","detail":"low"}})),
            "messages[0].content[0].image_url.detail",
        ),
        (
            json!({"messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://a/b"}}]}]}),
            "messages[0].content[0].type",
        ),
        (
            message(json!({"role":"assistant","content":[{"type":"image_url","image_url":{"url":"https://a/b"}}]})),
            "messages[0].content[0].type",
        ),
        (message(json!({"role":"function","name":"f","content":"a"})), "messages[0].role"),
        (message(json!({"role":"user","name":"Ann","content":"a"})), "messages[0].name"),
        (message(json!({"role":"assistant","function_call":{"name":"f"}})), "messages[0].function_call"),
        (message(json!({"role":"assistant","audio":{"id":"a"}})), "messages[0].audio"),
        (
            message(json!({"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{}}]})),
            "messages[0].tool_calls[0].type",
        ),
    ] {
        assert_eq!(refused(&more), (Some("unsupported_parameter"), Some(param.to_owned())), "{more}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let call = |arguments: Value| {
        let call = json!({"id":"a","type":"function","function":{"name":"f","arguments":arguments}});
        json!({"messages":[{"role":"assistant","tool_calls":[call]}]})
    };
    let image =
        |url: &str| json!({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":url}}]}]});
    let (arguments, url) = ("messages[0].tool_calls[0].function.arguments", "messages[0].content[0].image_url.url");
    for (more, code, param) in [
        (json!({"temperature":1.5}), "decimal_above_max_value", "temperature"),
        (json!({"top_p":-1}), "decimal_below_min_value", "top_p"),
        (json!({"reasoning_effort":"minimal"}), "invalid_value", "reasoning_effort"),
        (json!({"reasoning_effort":3}), "invalid_type", "reasoning_effort"),
        (json!({"service_tier":"flex"}), "invalid_value", "service_tier"),
        (json!({"tool_choice":"maybe"}), "invalid_value", "tool_choice"),
        (json!({"parallel_tool_calls":1}), "invalid_type", "parallel_tool_calls"),
        (json!({"stop":["a",1]}), "invalid_type", "stop[1]"),
        (json!({"tools":[{"type":"function"}]}), "missing_required_parameter", "tools[0].function"),
        (json!({"messages":[]}), "empty_array", "messages"),
        (json!({"messages":[{"role":"system","content":"a"}]}), "invalid_value", "messages"),
        (json!({"messages":[{"role":"user","content":" \n"}]}), "invalid_value", "messages"),
        (json!({"messages":[{"role":"bot","content":"a"}]}), "invalid_value", "messages[0].role"),
        (json!({"messages":[{"role":"user"}]}), "missing_required_parameter", "messages[0].content"),
        (json!({"messages":[{"role":"tool","content":"a"}]}), "missing_required_parameter", "messages[0].tool_call_id"),
        (call(json!("{\"a\":")), "invalid_value", arguments),
        (call(json!("[1]")), "invalid_value", arguments),
        (call(json!("{} x")), "invalid_value", arguments),
        (call(json!({})), "invalid_type", arguments),
        (call(json!(null)), "missing_required_parameter", arguments),
        (image("data:image/png,abc"), "invalid_value", url),
        (image("data:;base64,abc"), "invalid_value", url),
        (image("ftp://a/b.png"), "invalid_value", url),
    ] {
        assert_eq!(refused(&more), (Some(code), Some(param.to_owned())), "{more}");
    }
}

#[test]
fn what_asks_for_nothing_is_left_out() {
    let plain = translate(&json!({})).unwrap();
    let expected = json!({
        "model":"m","max_tokens":DEFAULT_MAX_TOKENS,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]
    });
    assert_eq!(plain, expected);
    let more = json!({
        "temperature":1,"top_p":1.0,"n":1,"frequency_penalty":0,"presence_penalty":0.0,"logit_bias":{},"logprobs":false,
        "top_logprobs":0,"modalities":["text"],"store":false,"verbosity":"medium","metadata":{"a":"b"},"seed":null,
        "prompt_cache_key":"k","prompt_cache_retention":"24h","stream":false,"stop":[],"tools":[],"tool_choice":"auto",
        "parallel_tool_calls":false,"response_format":{"type":"text"},"max_tokens":0,
    });
    assert_eq!(translate(&more).unwrap(), plain);
}

#[test]
fn parameters_are_translated() {
    let tools = json!([{"type":"function","function":{"name":"f"}}]);
    for (more, name, expected) in [
        (json!({"max_tokens":7}), "max_tokens", json!(7)),
        (json!({"max_completion_tokens":7,"stream":true}), "max_tokens", json!(7)),
        (json!({"stream":true}), "stream", json!(true)),
        (json!({"stop":["a","b"]}), "stop_sequences", json!(["a", "b"])),
        (json!({"user":"u"}), "metadata", json!({"user_id":"u"})),
        (json!({"reasoning_effort":"none"}), "thinking", json!({"type":"disabled"})),
        (json!({"reasoning_effort":"low"}), "thinking", json!({"type":"adaptive","display":"summarized"})),
        (json!({"reasoning_effort":"low"}), "output_config", json!({"effort":"low"})),
        (json!({"thinking":{"type":"adaptive"},"reasoning_effort":"max"}), "thinking", json!({"type":"adaptive"})),
        (json!({"tools":tools}), "tools", json!([{"name":"f","input_schema":{"type":"object"}}])),
        (
            json!({"tools":tools,"tool_choice":"none","parallel_tool_calls":false}),
            "tool_choice",
            json!({"type":"none"}),
        ),
        (json!({"tools":tools,"tool_choice":"required"}), "tool_choice", json!({"type":"any"})),
        (
            json!({"tools":tools,"tool_choice":"auto","parallel_tool_calls":false}),
            "tool_choice",
            json!({"type":"auto","disable_parallel_tool_use":true}),
        ),
        (json!({"tools":tools,"parallel_tool_calls":true}), "tool_choice", Value::Null),
        (json!({"cache_control":{"type":"ephemeral"}}), "cache_control", json!({"type":"ephemeral"})),
    ] {
        assert_eq!(translate(&more).unwrap()[name], expected, "{more}");
    }
}

#[test]
fn results_of_tools_come_first_and_turns_alternate() {
    let call = |id: &str| json!({"id":id,"type":"function","function":{"name":"f","arguments":"{}"}});
    let found = messages(&json!([
        {"role":"user","content":"a"},
        {"role":"assistant","content":[{"type":"text","text":"b"},{"type":"refusal","refusal":"c"}]},
        {"role":"assistant","content":null,"refusal":"d","tool_calls":[call("x")]},
        {"role":"assistant","content":"\n","tool_calls":[call("y")]},
        {"role":"user","content":"late"},
        {"role":"assistant","content":""},
        {"role":"system","content":"s"},
        {"role":"tool","tool_call_id":"x","content":""},
        {"role":"tool","tool_call_id":"y","content":[{"type":"image_url","image_url":{"url":"https://a/b.png"}}]},
    ]))
    .unwrap();
    let text = |text: &str| json!({"type":"text","text":text});
    let used = |id: &str| json!({"type":"tool_use","id":id,"name":"f","input":{}});
    let image = json!({"type":"image","source":{"type":"url","url":"https://a/b.png"}});
    let expected = json!([
        {"role":"user","content":[text("a")]},
        {"role":"assistant","content":[text("b"),text("c"),text("d"),used("x"),used("y")]},
        {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"x","content":""},
            {"type":"tool_result","tool_use_id":"y","content":[image]},
            text("late")]},
    ]);
    assert_eq!(found, expected);
}
