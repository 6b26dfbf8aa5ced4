//! Chat requests: what is forwarded is what came, but for what has to change.

use bytes::Bytes;
use petstream::wire::request::{ChatRequest, RequestRules, RequestedUsage, UnknownMembers, ForwardedBody};

use crate::reference::json::members;

const RULES: RequestRules = RequestRules { json_depth: 32, unknown: UnknownMembers::Pass, local_model: "local" };
const OPTIONS: &str = "stream_options";

/// Tries one input.
///
/// # Panics
/// Where something is wrong.
pub fn run(data: &[u8]) {
    let Some(request) = parse(data) else { return };
    let text = std::str::from_utf8(request.body()).expect("a request is UTF-8");
    let came = members(text).expect("a request is an object");
    let value = |key: &str| {
        let found: Vec<_> = came.iter().filter(|(other, _)| other == key).collect();
        assert!(found.len() <= 1, "{key} stands there twice");
        found.first().map(|(_, value)| *value)
    };
    let model: String = serde_json::from_str(value("model").expect("a model")).expect("a model is a text");
    assert_eq!(*request.model, *model);
    assert_eq!(request.stream, value("stream") == Some("true"));
    let inside = value(OPTIONS).and_then(members);
    // Without a stream its options mean nothing.
    let asks = request.stream && inside.iter().flatten().any(|(key, value)| key == "include_usage" && *value == "true");
    assert_eq!(request.include_usage, asks);

    for name in [None, Some("m"), Some("a \"b\"\\\n\u{1F600}\u{0}"), Some(&*model)] {
        for ask in [RequestedUsage::None, RequestedUsage::Final, RequestedUsage::Continuous] {
            let forwarded = forwarded(&request, name, ask);
            let changes_usage = request.stream && !asks && ask != RequestedUsage::None;
            if name.is_none_or(|name| name == model) && !changes_usage {
                assert_eq!(forwarded, request.body(), "nothing had to change");
                continue;
            }
            let forwarded = std::str::from_utf8(&forwarded).expect("what is forwarded is UTF-8");
            let goes = members(forwarded).expect("what is forwarded is an object");
            assert_forwarded(&came, &goes, name.unwrap_or(&model), changes_usage);
            if changes_usage {
                assert_usage(value(OPTIONS), &goes, ask);
            }
        }
    }
}

fn parse(data: &[u8]) -> Option<ChatRequest> {
    ChatRequest::parse(Bytes::copy_from_slice(data), &RULES).ok()
}

/// What an upstream is sent.
fn forwarded(request: &ChatRequest, model: Option<&str>, ask: RequestedUsage) -> Bytes {
    match request.forward(model, ask) {
        ForwardedBody::Whole(body) => body.into_owned(),
        ForwardedBody::Segments(segments) => segments.concat().into(),
    }
}

/// All members that are not to change are there, in their order and as they were written.
fn assert_forwarded(came: &[(String, &str)], goes: &[(String, &str)], model: &str, changes_usage: bool) {
    let rest = |members: &[(String, &str)]| -> Vec<(String, String)> {
        let kept = members.iter().filter(|(key, _)| !(changes_usage && key == OPTIONS) && key != "model");
        kept.map(|(key, value)| (key.clone(), (*value).to_owned())).collect()
    };
    assert_eq!(rest(goes), rest(came));
    let names: Vec<_> = goes.iter().filter(|(key, _)| key == "model").collect();
    let [(_, name)] = names[..] else { panic!("{} models", names.len()) };
    assert_eq!(serde_json::from_str::<String>(name).expect("a text"), model);
}

/// Usage is asked for, once, and everything else in the options is as it was.
fn assert_usage(came: Option<&str>, goes: &[(String, &str)], ask: RequestedUsage) {
    const USAGE: [&str; 2] = ["include_usage", "continuous_usage_stats"];
    let options: Vec<_> = goes.iter().filter(|(key, _)| key == OPTIONS).collect();
    let [(_, options)] = options[..] else { panic!("{} options", options.len()) };
    let options = members(options).expect("options are an object");
    let asked = |key: &str| options.iter().filter(|(other, value)| other == key && *value == "true").count();
    assert_eq!(options.iter().filter(|(key, _)| key == USAGE[0]).count(), 1, "{options:?}");
    assert_eq!(asked(USAGE[0]), 1, "{options:?}");
    // Who says whether every chunk shall tell usage is not overruled.
    let says = options.iter().any(|(key, value)| key == USAGE[1] && *value != "true");
    assert!(ask != RequestedUsage::Continuous || says || asked(USAGE[1]) >= 1, "{options:?}");
    let others = |members: &[(String, &str)]| -> Vec<(String, String)> {
        let kept = members.iter().filter(|(key, _)| !USAGE.contains(&key.as_str()));
        kept.map(|(key, value)| (key.clone(), (*value).to_owned())).collect()
    };
    assert_eq!(others(&options), others(&came.and_then(members).unwrap_or_default()));
}
