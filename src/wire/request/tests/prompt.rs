//! The estimate of a prompt's tokens, byte-order marks, and bodies that are forwarded in segments.

use super::*;
use crate::wire::request::prompt_size::{TOKENS_PER_AUDIO, TOKENS_PER_FILE, TOKENS_PER_IMAGE};

#[test]
fn a_prompt_is_estimated_by_its_text_and_a_fixed_number_for_each_media_part() {
    let estimate = |messages: &str, more: &str| {
        parse(&format!(r#"{{"model":"other","messages":{messages}{more}}}"#)).unwrap().prompt_estimate
    };
    let text = "x".repeat(400);
    let user = |content: &str| format!(r#"[{{"role":"user","content":{content}}}]"#);
    assert_eq!(estimate(&user(&format!("\"{text}\"")), ""), 104);
    assert_eq!(estimate(&user(&format!("  \"{text}\"  ")), ""), 104, "white space is no text");
    assert_eq!(estimate(&user(&format!(r#"[{{"type":"text","text":"{text}"}}]"#)), ""), 104);
    // Escapes count as what they stand for.
    let chinese = ("漢字".repeat(50), r"\u6f22\u5b57".repeat(50));
    assert_eq!(estimate(&user(&format!("\"{}\"", chinese.0)), ""), 4 + 300 / 4);
    assert_eq!(estimate(&user(&format!("\"{}\"", chinese.1)), ""), 4 + 300 / 4);
    assert_eq!(estimate(&user(&format!("\"{}\"", r"\ud83d\ude00\n\u00e9".repeat(20))), ""), 4 + 140 / 4);
    let named = format!(r#"[{{"role":"user","name":"ab","content":"{}"}}]"#, r"\n".repeat(398));
    assert_eq!(estimate(&named, ""), 104, "in a message with more members, too");
    let data = "A".repeat(1_000_000);
    for (part, tokens) in [
        (format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#), TOKENS_PER_IMAGE),
        (format!(r#"{{"type":"image","source":{{"data":"{data}"}}}}"#), TOKENS_PER_IMAGE),
        (format!(r#"{{"image_url":"{data}"}}"#), TOKENS_PER_IMAGE),
        (format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#), TOKENS_PER_AUDIO),
        (format!(r#"{{"type":"file","file":{{"file_data":"{data}"}}}}"#), TOKENS_PER_FILE),
        (format!(r#"{{"type":"video_url","video_url":{{"url":"{data}"}}}}"#), TOKENS_PER_FILE),
    ] {
        assert_eq!(estimate(&user(&format!("[{part},{part}]")), ""), 4 + 2 * tokens, "{}", &part[..30]);
    }
    let hi = user("\"\"");
    let schema = r#"{"type":"json_object","x":"0123456789"}"#;
    for name in ["tools", "functions", "response_format"] {
        assert_eq!(estimate(&hi, &format!(r#","{name}":{schema}"#)), 4 + schema.len() as u64 / 4, "{name}");
    }
    let calls = r#"[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    let call = format!(r#"[{{"role":"assistant","content":null,"tool_calls":{calls}}}]"#);
    assert_eq!(estimate(&call, ""), 4 + calls.len() as u64 / 4);
}

#[test]
fn a_byte_order_mark_is_not_forwarded() {
    let body = format!(r#"{{"model":"m",{MESSAGES},"stream":true}}"#);
    let request = parse(&format!("\u{feff}{body}")).unwrap();
    assert_eq!(request.body(), &body);
    assert_eq!(forwarded(&request, Some("x"), RequestedUsage::None), body.replace("\"m\"", "\"x\""));
    assert!(parse(&format!("\u{feff}\u{feff}{body}")).is_err());
}

#[test]
fn a_long_body_is_changed_without_a_copy() {
    let text = "x".repeat(100_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}],"stream":true}}"#);
    let request = parse(&body).unwrap();
    let ForwardedBody::Segments(segments) = request.forward(Some("other"), RequestedUsage::Final) else {
        panic!("one segment")
    };
    let within = request.body().as_ptr_range();
    assert!(segments.iter().filter(|one| one.len() > 100).all(|one| within.contains(&one.as_ptr())));
    let whole = segments.concat();
    let value: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!((&value["model"], &value["stream_options"]["include_usage"]), (&"other".into(), &true.into()));
    assert_eq!(value["messages"][0]["content"], text);
}

#[test]
fn continuous_usage_that_the_client_sets_itself_is_kept() {
    let body =
        format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"continuous_usage_stats":false}}}}"#);
    let forwarded = forwarded(&parse(&body).unwrap(), None, RequestedUsage::Continuous);
    assert_eq!(forwarded.matches("continuous_usage_stats").count(), 1, "{forwarded}");
}
