//! Chat requests: the body that is forwarded is the client's, but for the model's name and for usage.

use bytes::Bytes;
use petstream::wire::request::{ForwardedBody, InferenceRequest, RequestRules, RequestedUsage, UnknownMembers};

use crate::reference::json::members;

const RULES: RequestRules = RequestRules { json_depth: 32, unknown: UnknownMembers::Pass, local_model: Some("local") };
const OPTIONS: &str = "stream_options";

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let Some(request) = parse(data) else { return };
    let text = std::str::from_utf8(request.body()).expect("a request is UTF-8");
    let sent = members(text).expect("a request is an object");
    let value = |key: &str| {
        let found: Vec<_> = sent.iter().filter(|(other, _)| other == key).collect();
        assert!(found.len() <= 1, "{key} is repeated");
        found.first().map(|(_, value)| *value)
    };
    let model: String = serde_json::from_str(value("model").expect("a model")).expect("a model is a string");
    assert_eq!(*request.model, *model);
    assert_eq!(request.stream, value("stream") == Some("true"));
    let inside = value(OPTIONS).and_then(members);
    // Without a stream its options are ignored.
    let asks = request.stream && inside.iter().flatten().any(|(key, value)| key == "include_usage" && *value == "true");
    assert_eq!(request.include_usage, asks);

    for name in [None, Some("m"), Some("a \"b\"\\\n\u{1F600}\u{0}"), Some(&*model)] {
        for usage in [RequestedUsage::None, RequestedUsage::Final, RequestedUsage::Continuous] {
            let forwarded = forwarded(&request, name, usage);
            let changes_usage = request.stream && !asks && usage != RequestedUsage::None;
            if name.is_none_or(|name| name == model) && !changes_usage {
                assert_eq!(forwarded, request.body(), "nothing to change");
                continue;
            }
            let forwarded = std::str::from_utf8(&forwarded).expect("the forwarded body is UTF-8");
            let received = members(forwarded).expect("the forwarded body is an object");
            assert_forwarded(&sent, &received, name.unwrap_or(&model), changes_usage);
            if changes_usage {
                assert_usage(value(OPTIONS), &received, usage);
            }
        }
    }
}

fn parse(data: &[u8]) -> Option<InferenceRequest> {
    InferenceRequest::chat(Bytes::copy_from_slice(data), &RULES).ok()
}

/// The body that an upstream gets.
fn forwarded(request: &InferenceRequest, model: Option<&str>, usage: RequestedUsage) -> Bytes {
    match request.forward(model, usage) {
        ForwardedBody::Whole(body) => body.into_owned(),
        ForwardedBody::Segments(segments) => segments.concat().into(),
    }
}

/// All other members are unchanged and in order.
fn assert_forwarded(sent: &[(String, &str)], received: &[(String, &str)], model: &str, changes_usage: bool) {
    let rest = |members: &[(String, &str)]| -> Vec<(String, String)> {
        let kept = members.iter().filter(|(key, _)| !(changes_usage && key == OPTIONS) && key != "model");
        kept.map(|(key, value)| (key.clone(), (*value).to_owned())).collect()
    };
    assert_eq!(rest(received), rest(sent));
    let names: Vec<_> = received.iter().filter(|(key, _)| key == "model").collect();
    let [(_, name)] = names[..] else { panic!("{} models", names.len()) };
    assert_eq!(serde_json::from_str::<String>(name).expect("a string"), model);
}

/// Usage is requested once, and all other options are unchanged.
fn assert_usage(sent: Option<&str>, received: &[(String, &str)], usage: RequestedUsage) {
    const USAGE: [&str; 2] = ["include_usage", "continuous_usage_stats"];
    let options: Vec<_> = received.iter().filter(|(key, _)| key == OPTIONS).collect();
    let [(_, options)] = options[..] else { panic!("{} options", options.len()) };
    let options = members(options).expect("options are an object");
    let asked = |key: &str| options.iter().filter(|(other, value)| other == key && *value == "true").count();
    assert_eq!(options.iter().filter(|(key, _)| key == USAGE[0]).count(), 1, "{options:?}");
    assert_eq!(asked(USAGE[0]), 1, "{options:?}");
    // A client's own `continuous_usage_stats` is kept.
    let refuses = options.iter().any(|(key, value)| key == USAGE[1] && *value != "true");
    assert!(usage != RequestedUsage::Continuous || refuses || asked(USAGE[1]) >= 1, "{options:?}");
    let others = |members: &[(String, &str)]| -> Vec<(String, String)> {
        let kept = members.iter().filter(|(key, _)| !USAGE.contains(&key.as_str()));
        kept.map(|(key, value)| (key.clone(), (*value).to_owned())).collect()
    };
    assert_eq!(others(&options), others(&sent.and_then(members).unwrap_or_default()));
}
