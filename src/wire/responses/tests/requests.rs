//! Requests: checks, and their translation.

use serde_json::{Value, json};

use crate::wire::request::{InferenceRequest, InvalidRequest, RequestedUsage};
use crate::wire::responses;
use crate::wire::translation::request_fixtures::{self, RULES};

fn parse(body: &str) -> Result<InferenceRequest, InvalidRequest> {
    responses::parse(body.to_owned().into(), &RULES)
}

/// A request with further members; they replace its own.
fn with(more: &Value) -> String {
    request_fixtures::with(json!({"model":"m","input":"Hi"}), more)
}

/// The chat request that such a request becomes.
fn chat(more: &Value) -> Value {
    let text = parse(&with(more)).and_then(|request| responses::to_chat(&request)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn messages(input: &Value) -> Value {
    chat(&json!({ "input": input }))["messages"].clone()
}

/// Code and parameter of the error of such a request.
fn refused(more: &Value) -> (Option<&'static str>, Option<String>) {
    let body = with(more);
    let error = parse(&body).and_then(|request| responses::to_chat(&request)).expect_err(&body);
    (error.code, error.param)
}

#[test]
fn routing_and_limits_get_what_they_need() {
    let body = r#"{"max_output_tokens":7,"input":"12345678","stream":true,"model":"m","previous_response_id":"r"}"#;
    let request = parse(body).unwrap();
    assert_eq!((&*request.model, request.stream, request.max_tokens), ("m", true, Some(7)));
    assert_eq!((request.prompt_estimate, request.include_usage), (4 + 2, true));
    let renamed = String::from_utf8(request.forward(Some("n"), RequestedUsage::Final).to_vec()).unwrap();
    assert_eq!(renamed, body.replace(r#""m""#, r#""n""#));
    let image = json!([{"role":"user","content":[{"type":"input_image","image_url":"A".repeat(9000)}]}]);
    assert_eq!(parse(&with(&json!({ "input": image }))).unwrap().prompt_estimate, 1_004);
    let continued = parse(r#"{"model":"m","previous_response_id":"r"}"#).unwrap();
    assert_eq!(continued.prompt_estimate, 0);
}

#[test]
fn what_is_wrong_is_named() {
    for (more, code, param) in [
        (json!({"input":null}), "missing_required_parameter", "input"),
        (json!({"input":3}), "invalid_type", "input"),
        (json!({"input":[3]}), "invalid_type", "input[0]"),
        (json!({"input":[]}), "empty_array", "input"),
        (json!({"input":[{"role":"user"}]}), "missing_required_parameter", "input[0].content"),
        (json!({"input":[{"role":"tool","content":"a"}]}), "invalid_value", "input[0].role"),
        (
            json!({"input":[{"type":"function_call","call_id":"c","name":"f"}]}),
            "missing_required_parameter",
            "input[0].arguments",
        ),
        (json!({"max_output_tokens":0}), "integer_below_min_value", "max_output_tokens"),
        (json!({"stream":"yes"}), "invalid_type", "stream"),
        (json!({"tool_choice":"maybe"}), "invalid_value", "tool_choice"),
        (json!({"text":{"format":{"type":"xml"}}}), "invalid_value", "text.format.type"),
        (json!({"model":"petstore-ai","temperature":2.5}), "decimal_above_max_value", "temperature"),
        (json!({"model":"petstore-ai","foo":1}), "unknown_parameter", "foo"),
    ] {
        assert_eq!(refused(&more), (Some(code), Some(param.to_owned())), "{more}");
    }
    for body in [r#"{"model":"m","input":"a","input":"b"}"#, r#"{"model":"m","Input":"a"}"#, r#"{"model":"m""#, "[]"] {
        assert!(parse(body).is_err(), "{body}");
    }
}

#[test]
fn what_has_no_counterpart_is_named() {
    for (more, param) in [
        (json!({"previous_response_id":"r"}), "previous_response_id"),
        (json!({"conversation":"c"}), "conversation"),
        (json!({"background":true}), "background"),
        (json!({"truncation":"auto"}), "truncation"),
        (json!({"include":["message.output_text.logprobs"]}), "include[0]"),
        (json!({"top_logprobs":2}), "top_logprobs"),
        (json!({"foo":3}), "foo"),
        (json!({"reasoning":{"mode":"pro"}}), "reasoning.mode"),
        (json!({"tools":[{"type":"web_search"}]}), "tools[0].type"),
        (json!({"tools":[{"type":"function","name":"f","async":true}]}), "tools[0].async"),
        (json!({"tools":[{"type":"namespace","name":"n","tools":[{"type":"custom"}]}]}), "tools[0].tools[0].type"),
        (
            json!({"tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f","x":1}]}]}),
            "tools[0].tools[0].x",
        ),
        (
            json!({"tools":[{"type":"function","name":"n__f"},
                {"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]}),
            "tools",
        ),
        (json!({"tool_choice":{"type":"mcp"}}), "tool_choice.type"),
        (json!({"input":[{"type":"item_reference","id":"i"}]}), "input[0].type"),
        (json!({"input":[{"role":"user","content":[{"type":"input_audio"}]}]}), "input[0].content[0].type"),
        (
            json!({"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}),
            "input[0].content[0].file_id",
        ),
    ] {
        assert_eq!(refused(&more), (Some("unsupported_parameter"), Some(param.to_owned())), "{more}");
    }
}

#[test]
fn parameters_are_translated() {
    let found = chat(&json!({
        "instructions":"a","stream":true,"max_output_tokens":9,"temperature":0.5,"top_p":0.25,"store":true,
        "metadata":{"k":"v"},"client_metadata":{"turn":"1"},"background":false,"truncation":"disabled","include":["reasoning.encrypted_content"],
        "tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true}],
        "tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false,
        "text":{"verbosity":"low","format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}},
        "reasoning":{"effort":"low","summary":"auto"},"user":"u","prompt_cache_key":"k","safety_identifier":"s",
        "service_tier":"flex","previous_response_id":null,
    }));
    let expected = json!({
        "model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":"Hi"}],
        "stream":true,"max_completion_tokens":9,
        "temperature":0.5,"top_p":0.25,
        "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],
        "parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"f"}},
        "verbosity":"low",
        "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}},
        "reasoning_effort":"low","prompt_cache_key":"k","safety_identifier":"s","service_tier":"flex","user":"u",
    });
    assert_eq!(found, expected);
    assert_eq!(chat(&json!({"tools":[],"tool_choice":"auto","parallel_tool_calls":true})), chat(&json!({})));
    let allowed = json!({"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]});
    let expected = json!({"type":"allowed_tools","allowed_tools":{"mode":"required",
        "tools":[{"type":"function","function":{"name":"f"}}]}});
    assert_eq!(chat(&json!({"tool_choice":allowed}))["tool_choice"], expected);
}

#[test]
fn items_become_messages() {
    let found = messages(&json!([
        {"role":"developer","content":"d"},
        {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},
            {"type":"input_image","image_url":"https://a/b.png","detail":"low"},
            {"type":"input_file","filename":"f.pdf","file_data":"data:application/pdf;base64,AA=="}]},
        {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
        {"type":"message","id":"msg_1","role":"assistant","status":"completed",
            "content":[{"type":"output_text","text":"I'll look.","annotations":[]}]},
        {"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"a\":1}","status":"completed"},
        {"type":"function_call","call_id":"c2","name":"g","arguments":""},
        {"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"},
            {"type":"input_image","image_url":"https://a/c.png"}]},
        {"type":"function_call_output","call_id":"c2","output":"two"},
        {"type":"reasoning","id":"rs_2","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"x"},
        {"role":"assistant","content":[{"type":"refusal","refusal":"No."}]},
        {"role":"assistant","content":"Again."},
    ]));
    let expected = json!([
        {"role":"system","content":"d"},
        {"role":"user","content":[{"type":"text","text":"a"},
            {"type":"image_url","image_url":{"url":"https://a/b.png","detail":"low"}},
            {"type":"file","file":{"filename":"f.pdf","file_data":"data:application/pdf;base64,AA=="}}]},
        {"role":"assistant","content":"I'll look.","reasoning_content":"hm","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
            {"id":"c2","type":"function","function":{"name":"g","arguments":""}}]},
        {"role":"tool","tool_call_id":"c1","content":"one"},
        {"role":"tool","tool_call_id":"c2","content":"two"},
        {"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/c.png"}}]},
        {"role":"assistant","content":"No."},
        {"role":"assistant","content":"Again."},
    ]);
    assert_eq!(found, expected);
}

#[test]
fn functions_of_namespaces_have_the_name_of_both_in_chat() {
    let tools = json!([
        {"type":"function","name":"f"},
        {"type":"namespace","name":"n","description":"About n.","tools":[
            {"type":"function","name":"f","description":"Does f.","parameters":{},"strict":false},
            {"type":"function","name":"g"}]},
    ]);
    let input = json!([
        {"role":"user","content":"Hi"},
        {"type":"function_call","call_id":"c","namespace":"n","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","namespace":"n","name":"f","output":"o"},
    ]);
    let found = chat(&json!({"tools":tools,"input":input}));
    let expected = json!([
        {"type":"function","function":{"name":"f"}},
        {"type":"function","function":{"name":"n__f","description":"About n.\nDoes f.","parameters":{},"strict":false}},
        {"type":"function","function":{"name":"n__g","description":"About n."}},
    ]);
    assert_eq!(found["tools"], expected);
    assert_eq!(found["messages"][1]["tool_calls"][0]["function"]["name"], "n__f");

    let request = parse(&with(&json!({ "tools": tools }))).unwrap();
    let head = responses::head(&request, "m", 5).unwrap();
    let call = |name: &str| json!({"id":name,"type":"function","function":{"name":name,"arguments":"{}"}});
    let completion =
        json!({"choices":[{"message":{"tool_calls":[call("f"), call("n__f"), call("n__x")]}}]}).to_string();
    let whole: Value = serde_json::from_str(&responses::response(&head, completion.as_bytes(), 6).unwrap()).unwrap();
    let name = |item: &Value| (item["namespace"].clone(), item["name"].clone());
    let names: Vec<_> = whole["output"].as_array().unwrap().iter().map(name).collect();
    let none = Value::Null;
    assert_eq!(names, [(none.clone(), "f".into()), ("n".into(), "f".into()), (none, "n__x".into())]);
    assert_eq!(whole["tools"][1], tools[1]);
}

#[test]
fn the_answer_repeats_the_request() {
    let request =
        parse(&with(&json!({"instructions":"i","temperature":0.5,"metadata":{"k":"v"},"text":{"verbosity":"low"}})));
    let head = responses::head(&request.unwrap(), "n", 5).unwrap();
    let whole = crate::wire::responses::response(&head, br#"{"choices":[]}"#, 6).unwrap();
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(
        (&whole["instructions"], &whole["temperature"], &whole["store"]),
        (&"i".into(), &json!(0.5), &false.into())
    );
    assert_eq!((&whole["model"], &whole["metadata"]), (&"n".into(), &json!({"k":"v"})));
    assert_eq!(whole["text"], json!({"format":{"type":"text"},"verbosity":"low"}));
    assert_eq!(whole["id"], head.id());
}

#[test]
fn members_that_may_name_other_models_are_found() {
    for (more, path) in [
        (json!({"models":["x"]}), Some("models")),
        (json!({"tools":[{"type":"image_generation","model":"x"}]}), Some("tools[0].model")),
        (json!({"tools":[{"type":"function","name":"f","parameters":{"properties":{"model":{}}}}]}), None),
        (
            json!({"tools":[{"type":"namespace","name":"n","tools":[
                {"type":"function","name":"f","parameters":{"properties":{"model":{}}}}]}]}),
            None,
        ),
        (
            json!({"tools":[{"type":"namespace","name":"n","tools":[{"type":"image_generation","model":"x"}]}]}),
            Some("tools[0].model"),
        ),
        (json!({"tools":[{"type":"namespace","name":"n","tools":[],"model":"x"}]}), Some("tools[0].model")),
    ] {
        assert_eq!(parse(&with(&more)).unwrap().other_models.as_deref(), path, "{more}");
    }
}
