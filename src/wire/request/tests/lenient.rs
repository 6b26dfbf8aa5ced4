//! Requests for upstreams: what is forwarded unchecked, what must be unambiguous, and which members name models.

use super::*;

/// A request for an upstream's model, with `more` added.
fn for_upstream(more: &str) -> Result<InferenceRequest, InvalidRequest> {
    parse(&format!(r#"{{"model":"other",{MESSAGES},{more}}}"#))
}

#[test]
fn values_beyond_openais_ranges_are_forwarded() {
    for more in [
        r#""temperature":2.5"#,
        r#""temperature":"hot""#,
        r#""top_p":-1"#,
        r#""stop":["a","b","c","d","e"]"#,
        r#""stop":[]"#,
        r#""stop":[13]"#,
        r#""stop":null"#,
        r#""metadata":[1,2]"#,
        r#""metadata":{"a":1,"b":{}}"#,
        r#""logit_bias":[[15043,1.0],["word",false]]"#,
        r#""response_format":{"type":"json_schema","schema":{}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"schema":{}}}"#,
        r#""response_format":{"type":"grammar","grammar":"root ::= \"a\""}"#,
        r#""response_format":{"type":"regex","pattern":"a+"}"#,
        r#""response_format":{"type":"structural_tag","structures":[]}"#,
        r#""response_format":{}"#,
        r#""tool_choice":"any""#,
        r#""tool_choice":1"#,
        r#""function_call":"any""#,
        r#""tools":[{"function":{"name":"f"}}]"#,
        r#""tools":{}"#,
        r#""top_logprobs":50"#,
        r#""top_logprobs":1.0"#,
        r#""top_logprobs":2,"logprobs":false"#,
        r#""logprobs":5"#,
        r#""stream":false,"stream_options":{"include_usage":true}"#,
        r#""stream_options":{"include_usage":1}"#,
        r#""stream_options":"x""#,
        r#""stream":null,"stream_options":null"#,
        r#""stream":true,"stream_options":{"include_obfuscation":1,"chunk_size":4}"#,
        r#""user":7"#,
        r#""seed":-1.0"#,
        r#""seed":99999999999999999999"#,
        r#""n":1.0"#,
        r#""modalities":"text""#,
        r#""reasoning_effort":{"tokens":5}"#,
        r#""parallel_tool_calls":"yes""#,
        r#""prediction":[]"#,
        r#""store":1"#,
    ] {
        let request = for_upstream(more).unwrap_or_else(|invalid| panic!("{more}: {invalid:?}"));
        assert_eq!(forwarded(&request, None, RequestedUsage::None), String::from_utf8_lossy(request.body()), "{more}");
        assert!(request.n == 1 && request.max_tokens.is_none(), "{more}");
    }
}

#[test]
fn messages_of_other_shapes_are_forwarded() {
    for messages in [
        r#"[{"role":"developer","content":{"text":"a"}}]"#,
        r#"[{"role":"ipython","content":"a"}]"#,
        r#"[{"role":"tool","content":"a"}]"#,
        r#"[{"content":"a"}]"#,
        r#"[{"role":"user"}]"#,
        r#"[{"role":"user","content":null}]"#,
        r#"[{"role":"user","content":["a",{"text":"b"},{"type":"reasoning"},7]}]"#,
        r#"[{"role":"assistant","content":"","tool_calls":{}}]"#,
        r#"[{"role":"user","content":"a","name":1}]"#,
    ] {
        let body = format!(r#"{{"model":"other","messages":{messages}}}"#);
        assert!(parse(&body).is_ok(), "{messages}");
        assert!(parse(&body.replace("other", "m")).is_err(), "{messages}: OpenAI's types hold for the local model");
        let refuse = RequestRules { unknown: UnknownMembers::Refuse, ..RULES };
        assert!(
            InferenceRequest::chat(Bytes::from(body), &refuse).is_err(),
            "{messages}: and where unknown members are refused"
        );
    }
}

#[test]
fn token_limits_are_read_as_lenient_servers_read_them() {
    for (more, expected) in [
        (r#""max_tokens":100"#, Some(100)),
        (r#""max_tokens":100.0"#, Some(100)),
        (r#""max_tokens":1e3"#, Some(1_000)),
        (r#""max_tokens":-1"#, None),
        (r#""max_tokens":-2.0"#, None),
        (r#""max_tokens":0"#, None),
        (r#""max_tokens":-0.0"#, None),
        (r#""max_tokens":null"#, None),
        (r#""max_completion_tokens":0"#, None),
        (r#""max_tokens":1e30"#, Some(i64::MAX as u64)),
        (r#""max_tokens":1e999"#, Some(i64::MAX as u64)),
        (r#""max_tokens":99999999999999999999"#, Some(i64::MAX as u64)),
        (r#""max_tokens":-99999999999999999999"#, None),
        (r#""max_tokens":5,"max_completion_tokens":9"#, Some(9)),
        (r#""max_completion_tokens":9,"max_tokens":50"#, Some(50)),
        // The upstream may apply either one.
        (r#""max_tokens":5,"max_completion_tokens":-1"#, None),
        (r#""n":128,"max_tokens":-1"#, None),
    ] {
        assert_eq!(for_upstream(more).unwrap().max_tokens, expected, "{more}");
    }
    assert_eq!(for_upstream(r#""n":3.0"#).unwrap().n, 3);
}

#[test]
fn parameters_of_routing_and_limits_must_be_unambiguous() {
    for (more, param, code) in [
        (r#""stream":"true""#, "stream", "invalid_type"),
        (r#""stream":1"#, "stream", "invalid_type"),
        (r#""stream":[]"#, "stream", "invalid_type"),
        (r#""stream":true,"stream_options":{"include_usage":1}"#, "stream_options.include_usage", "invalid_type"),
        (r#""stream":true,"stream_options":true"#, "stream_options", "invalid_type"),
        (r#""n":"1""#, "n", "invalid_type"),
        (r#""n":1.5"#, "n", "invalid_type"),
        (r#""n":true"#, "n", "invalid_type"),
        (r#""n":0"#, "n", "integer_below_min_value"),
        (r#""n":-1"#, "n", "integer_below_min_value"),
        (r#""n":129.0"#, "n", "integer_above_max_value"),
        (r#""n":1e30"#, "n", "integer_above_max_value"),
        (r#""max_tokens":"5""#, "max_tokens", "invalid_type"),
        (r#""max_tokens":5.5"#, "max_tokens", "invalid_type"),
        (r#""max_tokens":[5]"#, "max_tokens", "invalid_type"),
        (r#""max_completion_tokens":true"#, "max_completion_tokens", "invalid_type"),
    ] {
        let invalid = for_upstream(more).map(|_| ()).unwrap_err();
        assert_eq!((invalid.param.as_deref(), invalid.code), (Some(param), Some(code)), "{more}: {invalid:?}");
    }
    for messages in ["{}", "[]", "null", r#"["hi"]"#, "[[]]"] {
        assert!(parse(&format!(r#"{{"model":"other","messages":{messages}}}"#)).is_err(), "{messages}");
    }
    let long = format!(r#"{{"model":"{}",{MESSAGES}}}"#, "é".repeat(257));
    assert_eq!(parse(&long).unwrap_err().code, Some("string_above_max_length"));
    assert!(parse(&long.replacen('é', "", 1)).is_ok());
}

#[test]
fn a_known_member_is_neither_repeated_nor_misspelt() {
    for (more, param) in [
        (r#""Model":"x""#, "Model"),
        (r#""MAX_TOKENS":5"#, "MAX_TOKENS"),
        (r#""max_to\u212aens":5"#, "max_to\u{212a}ens"),
        (r#""me\u017f\u017fages":[]"#, "meſſages"),
        (r#""\u004dodel":"x""#, "Model"),
        (r#""Stream":true"#, "Stream"),
        (r#""Temperature":1"#, "Temperature"),
        (r#""model\u0000":"x""#, "model\0"),
        (r#""stream":true,"stream_options":{"Include_Usage":true}"#, "stream_options.Include_Usage"),
        (r#""stream":true,"stream_options":{"include_u\u017fage":true}"#, "stream_options.include_uſage"),
    ] {
        let invalid = for_upstream(more).map(|_| ()).unwrap_err();
        assert_eq!((invalid.code, invalid.param.as_deref()), (Some("unknown_parameter"), Some(param)), "{more}");
    }
    for (more, param) in [
        (r#""temperature":1,"temperature":1"#, "temperature"),
        (r#""max_tokens":1,"max_tokens":1"#, "max_tokens"),
        (r#""n":null,"n":2"#, "n"),
        (r#""metadata":{},"metad\u0061ta":{}"#, "metadata"),
        (
            r#""stream":true,"stream_options":{"include_usage":true,"include_usage":false}"#,
            "stream_options.include_usage",
        ),
    ] {
        let invalid = for_upstream(more).map(|_| ()).unwrap_err();
        assert_eq!((invalid.code, invalid.param.as_deref()), (Some("duplicate_parameter"), Some(param)), "{more}");
    }
    let messages = r#"[{"role":"user","content":"a"},{"role":"user","content":"a","Content":"b"}]"#;
    let invalid = parse(&format!(r#"{{"model":"other","messages":{messages}}}"#)).unwrap_err();
    assert_eq!(invalid.param.as_deref(), Some("messages[1].Content"));
    for fine in [r#""Top_K":1,"top_k":2,"top_k":3"#, r#""modèle":1"#, r#""models":["a"],"models":["b"]"#] {
        assert!(for_upstream(fine).is_ok(), "{fine}");
    }
}

#[test]
fn members_that_name_other_models_are_found() {
    for (more, found) in [
        (r#""models":["a"]"#, "models"),
        (r#""Models":["a"]"#, "models"),
        (r#""route":"fallback""#, "route"),
        (r#""fallbacks":[{"model":"a"}]"#, "fallbacks"),
        (r#""x":1,"context_window_fallbacks":[]"#, "context_window_fallbacks"),
        (r#""preset":"p""#, "preset"),
        (r#""extra_body":{"models":["a"]}"#, "extra_body.models"),
        (r#""extra_body":{"model":"a"}"#, "extra_body.model"),
        (r#""extra_body":{"a":[{"Model":"a"}]}"#, "extra_body.model"),
        (r#""extra_body":{"extra_body":{"fallbacks":[]}}"#, "extra_body.fallbacks"),
        (r#""extra_body":[[[[[[[[[[[]]]]]]]]]]]"#, "extra_body"),
        (r#""providerOptions":{"gateway":{"models":["a"]}}"#, "provideroptions.models"),
        (r#""plugins":[{"id":"web"},{"id":"auto-router","allowed_models":["a/*"]}]"#, "plugins.allowed_models"),
    ] {
        assert_eq!(for_upstream(more).unwrap().other_models.as_deref(), Some(found), "{more}");
    }
    for none in [
        r#""models":null"#,
        r#""extra_body":{"top_k":3,"model":null}"#,
        r#""plugins":[{"id":"web"}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"model":{}}}}}]"#,
        r#""metadata":{"models":"a"}"#,
    ] {
        assert_eq!(for_upstream(none).unwrap().other_models, None, "{none}");
    }
}
