//! Reads back what the codecs write, for tests: an answer of each API in one form.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::wire::chunk::{ChunkParser, ParsedFrame};
use crate::wire::sse::Decoder;

/// An answer as a client accumulates it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::wire) struct Answer {
    pub(in crate::wire) reasoning: String,
    /// Refusals included.
    pub(in crate::wire) text: String,
    /// Id, name and arguments of each tool call, in order.
    pub(in crate::wire) calls: Vec<(String, String, Value)>,
    pub(in crate::wire) finish: String,
    /// Tokens of the prompt, and generated ones.
    pub(in crate::wire) usage: Option<(u64, u64)>,
}

/// The events of a stream: name and data. `[DONE]` is left out.
pub(in crate::wire) fn events(stream: &[u8]) -> Vec<(String, Value)> {
    let mut decoder = Decoder::new(1 << 24);
    decoder.push(Bytes::copy_from_slice(stream));
    let mut all = Vec::new();
    while let Some(event) = decoder.next_event().unwrap() {
        if &event.data[..] == b"[DONE]" {
            continue;
        }
        let name = event.name.map(|name| String::from_utf8(name.to_vec()).unwrap()).unwrap_or_default();
        all.push((name, serde_json::from_slice(&event.data).unwrap()));
    }
    all
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn parsed(arguments: &str) -> Value {
    if arguments.is_empty() { serde_json::json!({}) } else { serde_json::from_str(arguments).unwrap() }
}

/// The answer of a chat stream without its `[DONE]`. Checks the order of its chunks: the role first, one that finishes
/// the choice, then usage if there is any. `finish` is empty where none finishes it.
pub(in crate::wire) fn chat(stream: &[u8]) -> Answer {
    let mut answer = Answer::default();
    let mut calls: Vec<(String, String, String)> = Vec::new();
    let mut parser = ChunkParser::default();
    for (at, (_, chunk)) in events(stream).into_iter().enumerate() {
        let parsed = parser.parse(chunk.to_string().as_bytes());
        let Ok(ParsedFrame::Chunk(facts)) = parsed else { panic!("{parsed:?} {chunk}") };
        assert_eq!(
            (chunk["object"].as_str(), chunk["id"].is_string()),
            (Some("chat.completion.chunk"), true),
            "{chunk}"
        );
        assert!(!facts.nonstandard_finish && !facts.tool_call_without_index && answer.usage.is_none(), "{chunk}");
        assert_eq!(facts.roles.is_empty(), at != 0, "{chunk}");
        let Some(choice) = chunk["choices"].get(0) else {
            assert!(!answer.finish.is_empty(), "{chunk}");
            let [input, output] = ["prompt_tokens", "completion_tokens"].map(|name| chunk["usage"][name].as_u64());
            answer.usage = input.zip(output);
            continue;
        };
        assert!(answer.finish.is_empty() && choice["index"] == 0, "{chunk}");
        text_of(&choice["finish_reason"]).clone_into(&mut answer.finish);
        let delta = &choice["delta"];
        answer.reasoning.push_str(text_of(&delta["reasoning_content"]));
        answer.text.push_str(text_of(&delta["content"]));
        answer.text.push_str(text_of(&delta["refusal"]));
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            let function = &call["function"];
            if index == calls.len() {
                assert_eq!(call["type"], "function", "{chunk}");
                calls.push((text_of(&call["id"]).to_owned(), text_of(&function["name"]).to_owned(), String::new()));
            } else {
                assert!(call.get("id").is_none() && function.get("name").is_none(), "{chunk}");
            }
            calls[index].2.push_str(text_of(&function["arguments"]));
        }
    }
    let whole = !answer.finish.is_empty() && answer.finish != "length";
    assert!(calls.iter().all(|(.., arguments)| !whole || !arguments.is_empty()));
    let value = |arguments: &str| serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into());
    answer.calls = calls.into_iter().map(|(id, name, arguments)| (id, name, value(&arguments))).collect();
    answer
}

/// The answer of a stream of messages. Checks the order of its events.
pub(in crate::wire) fn messages(stream: &[u8]) -> Answer {
    let mut answer = Answer::default();
    let mut blocks: BTreeMap<u64, (Value, String)> = BTreeMap::new();
    let (mut open, mut has_ended) = (None, false);
    for (at, (name, event)) in events(stream).into_iter().enumerate() {
        assert_eq!(name, event["type"], "{event}");
        assert_eq!(at == 0, name == "message_start", "{event}");
        assert!(!has_ended, "{event}");
        let index = event["index"].as_u64();
        match &*name {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(blocks.len() as u64)), "{event}");
                open = index;
                blocks.insert(index.unwrap(), (event["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                assert_eq!(open, index, "{event}");
                let delta = &event["delta"];
                let text = ["text", "thinking", "partial_json"].map(|key| text_of(&delta[key])).concat();
                blocks.get_mut(&index.unwrap()).unwrap().1.push_str(&text);
            }
            "content_block_stop" => assert_eq!(open.take(), index, "{event}"),
            "message_delta" => {
                text_of(&event["delta"]["stop_reason"]).clone_into(&mut answer.finish);
                let usage = &event["usage"];
                let inputs = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
                let input = inputs.iter().map(|name| usage[*name].as_u64().unwrap()).sum();
                answer.usage = Some((input, usage["output_tokens"].as_u64().unwrap()));
            }
            "message_stop" => has_ended = true,
            _ => assert_eq!(name, "message_start"),
        }
    }
    assert!(has_ended && open.is_none());
    for (block, text) in blocks.into_values() {
        match text_of(&block["type"]) {
            "text" => answer.text.push_str(&text),
            "thinking" => answer.reasoning.push_str(&text),
            _ => {
                let [id, name] = ["id", "name"].map(|key| text_of(&block[key]).to_owned());
                answer.calls.push((id, name, parsed(&text)));
            }
        }
    }
    answer
}

/// The answer of a stream of a response: from its deltas, which must agree with the response at its end.
pub(in crate::wire) fn responses(stream: &[u8]) -> Answer {
    let mut items: BTreeMap<u64, (Value, String)> = BTreeMap::new();
    let mut last = Value::Null;
    for (at, (name, event)) in events(stream).into_iter().enumerate() {
        assert_eq!((&*name, Some(at as u64)), (text_of(&event["type"]), event["sequence_number"].as_u64()), "{event}");
        assert!(last.is_null(), "{event}");
        let index = event["output_index"].as_u64();
        match &*name {
            "response.output_item.added" => {
                assert_eq!(index, Some(items.len() as u64), "{event}");
                items.insert(index.unwrap(), (event["item"].clone(), String::new()));
            }
            "response.completed" | "response.incomplete" => last = event["response"].clone(),
            name if name.ends_with(".delta") => {
                let (item, text) = items.get_mut(&index.unwrap()).unwrap();
                assert_eq!(item["id"], event["item_id"], "{event}");
                text.push_str(text_of(&event["delta"]));
            }
            _ => {}
        }
    }
    let whole = response(&last);
    let deltas: Vec<_> = items.into_values().map(|(_, text)| text).collect();
    let texts: Vec<_> = last["output"].as_array().unwrap().iter().map(item_text).collect();
    assert_eq!(deltas, texts);
    whole
}

/// The text of an item: of its parts, or its arguments.
fn item_text(item: &Value) -> String {
    let parts = item["content"].as_array().cloned().unwrap_or_default();
    let texts = parts.iter().map(|part| [text_of(&part["text"]), text_of(&part["refusal"])].concat());
    texts.collect::<String>() + text_of(&item["arguments"])
}

/// The answer of a response object.
pub(in crate::wire) fn response(response: &Value) -> Answer {
    let mut answer = Answer::default();
    for item in response["output"].as_array().unwrap() {
        let text = item_text(item);
        match text_of(&item["type"]) {
            "message" => answer.text.push_str(&text),
            "reasoning" => answer.reasoning.push_str(&text),
            _ => {
                let [id, name] = ["call_id", "name"].map(|key| text_of(&item[key]).to_owned());
                answer.calls.push((id, name, parsed(&text)));
            }
        }
    }
    text_of(&response["status"]).clone_into(&mut answer.finish);
    let usage = &response["usage"];
    answer.usage = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64());
    answer
}
