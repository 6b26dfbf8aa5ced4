//! The bytes of the local model's answers, as a client of the real API expects them.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::http::{Piece, Request, Whole};

async fn open() -> Server {
    Server::start("auth: none\n").await
}

fn question(more: &Value) -> Request {
    let mut request = json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "How many cats?"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    Request::chat(&request)
}

/// The body with values that change between runs replaced, after a check of their form.
#[track_caller]
fn redacted(answer: &Whole) -> String {
    let text = answer.text();
    let first: Value = match text.strip_prefix("data: ") {
        Some(stream) => serde_json::from_str(stream.lines().next().unwrap()).unwrap(),
        None => answer.json(),
    };
    let (id, created) = (first["id"].as_str().unwrap(), first["created"].as_i64().unwrap());
    let random = id.strip_prefix("chatcmpl-").unwrap();
    assert!(random.len() >= 24 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let now = jiff::Timestamp::now().as_second();
    assert!((now - 300..=now).contains(&created), "{created} is not now");
    text.replace(id, "chatcmpl-ID").replace(&format!("\"created\":{created}"), "\"created\":0")
}

#[tokio::test]
async fn a_stream() {
    let server = open().await;
    let answer = server.ask(&question(&json!({"stream": true}))).await;
    insta::assert_snapshot!(redacted(&answer), @r#"
    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":"There"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":" are"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":" "},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":"11"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":" available"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":" cats"},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":"."},"logprobs":null,"finish_reason":null}]}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}

    data: [DONE]
    "#);
    answer.transcript().assert_contract(1, false);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_with_usage() {
    let server = open().await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}, "max_tokens": 2});
    let answer = server.ask(&question(&options)).await;
    insta::assert_snapshot!(redacted(&answer), @r#"
    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":"There"},"logprobs":null,"finish_reason":null}],"usage":null}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{"content":" are"},"logprobs":null,"finish_reason":null}],"usage":null}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}

    data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"petstore-ai","service_tier":"default","system_fingerprint":"fp_petstream_0.1.0","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0},"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":0,"rejected_prediction_tokens":0}}}

    data: [DONE]
    "#);
    let transcript = answer.transcript();
    transcript.assert_contract(1, true);
    assert_eq!(transcript.finish_reason(0), Some("length"));
    server.stop().await;
}

#[tokio::test]
async fn several_choices_begin_in_order_and_take_turns() {
    let server = open().await;
    let options = json!({"stream": true, "n": 3, "max_tokens": 2, "stream_options": {"include_usage": true}});
    let transcript = server.ask(&question(&options)).await.transcript();
    transcript.assert_contract(3, true);
    let order: Vec<_> = transcript.choices().map(|choice| choice["index"].as_u64().unwrap()).collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert_eq!(transcript.usage().unwrap()["completion_tokens"], 6);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_no_stream() {
    let server = open().await;
    let answer = server.ask(&question(&json!({}))).await;
    insta::assert_snapshot!(redacted(&answer), @r#"{"id":"chatcmpl-ID","object":"chat.completion","created":0,"model":"petstore-ai","choices":[{"index":0,"message":{"role":"assistant","content":"There are 11 available cats.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0},"completion_tokens_details":{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_petstream_0.1.0"}"#);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    server.stop().await;
}

#[tokio::test]
async fn streamed_or_not_the_text_and_the_counts_are_the_same() {
    let server = open().await;
    let ask = json!({"messages": [{"role": "user", "content": "Which dogs do you have?"}], "n": 2});
    let whole = server.ask(&question(&ask)).await.json();
    let mut ask = ask;
    ask["stream"] = json!(true);
    ask["stream_options"] = json!({"include_usage": true});
    let stream = server.ask(&question(&ask)).await.transcript();
    stream.assert_contract(2, true);
    for index in [0, 1] {
        let choice = &whole["choices"][index];
        assert_eq!(choice["message"]["content"], stream.text(index as u64));
        assert_eq!(choice["finish_reason"].as_str(), stream.finish_reason(index as u64));
    }
    assert_eq!(&whole["usage"], stream.usage().unwrap());
    assert_eq!(
        whole["usage"]["total_tokens"].as_u64().unwrap(),
        whole["usage"]["prompt_tokens"].as_u64().unwrap() + whole["usage"]["completion_tokens"].as_u64().unwrap()
    );
    server.stop().await;
}

#[tokio::test]
async fn neither_a_stop_string_nor_its_beginning_is_sent() {
    let server = open().await;
    let text = server.ask(&question(&json!({}))).await.json()["choices"][0]["message"]["content"].clone();
    let text = text.as_str().unwrap();
    // Across token boundaries: from the middle of the text, over spaces and letters.
    let stop: String = text.chars().skip(5).take(6).collect();
    let before: String = text.chars().take(5).collect();
    for stop in [json!(stop), json!(["nowhere", stop])] {
        let options = json!({"stream": true, "stop": stop});
        let stream = server.ask(&question(&options)).await.transcript();
        stream.assert_contract(1, false);
        assert_eq!((stream.text(0).as_str(), stream.finish_reason(0)), (before.as_str(), Some("stop")));
        let whole = server.ask(&question(&json!({ "stop": stop }))).await.json();
        assert_eq!(whole["choices"][0]["message"]["content"], before);
    }
    // The beginning of a stop string that is not completed is text.
    let options = json!({"stream": true, "stop": format!("{text} and more")});
    assert_eq!(server.ask(&question(&options)).await.transcript().text(0), text);
    server.stop().await;
}

#[tokio::test]
async fn a_streams_headers() {
    let server = open().await;
    let answer = server.ask(&question(&json!({"stream": true}))).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    assert_eq!(answer.header("content-length"), None);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_time() {
    let server = open().await;
    let mut ids = Vec::new();
    let requests = [
        question(&json!({"stream": true})),
        question(&json!({"model": "nobody"})),
        Request::new("GET", "/v1/models"),
        Request::new("GET", "/v1/nowhere"),
        Request::new("GET", "/v1/chat/completions"),
        Request::new("GET", "/healthz"),
        Request::new("GET", "/readyz"),
        Request::new("GET", "/api/pets"),
    ];
    for request in &requests {
        let answer = server.ask(request).await;
        let id = answer.header("x-request-id").expect("a request id").to_owned();
        let random = id.strip_prefix("req_").expect("req_");
        assert!(random.len() == 32 && random.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        answer.header("openai-processing-ms").expect("a time").parse::<u64>().expect("whole milliseconds");
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "ids repeat");
    server.stop().await;
}

#[tokio::test]
async fn the_head_and_each_token_go_out_at_once() {
    // So slow that held-back text could not arrive before the test times out.
    let server = Server::start("auth: none\nresponder: {tokens_per_second: 0.1}\n").await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&question(&json!({"stream": true}))).await;
    assert_eq!(answer.status(), 200);
    let Piece::Data(first) = answer.piece().await else { panic!("a first piece") };
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(first.contains(r#""role":"assistant""#) && first.ends_with("\n\n"), "{first}");
    connection.reset();
    server.stop().await;
}

#[tokio::test]
async fn models_are_listed_and_looked_up() {
    let server = open().await;
    let list = server.ask(&Request::new("GET", "/v1/models")).await;
    insta::assert_snapshot!(list.text(), @r#"{"object":"list","data":[{"id":"petstore-ai","object":"model","created":1795392000,"owned_by":"petstream","apis":["chat","responses","messages"]}]}"#);
    let one = server.ask(&Request::new("GET", "/v1/models/petstore-ai")).await;
    assert_eq!(one.json(), list.json()["data"][0]);
    server.stop().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = open().await;
    let mut connection = server.connect().await;
    for stream in [true, false, true, false] {
        let answer = connection.ask(&question(&json!({"stream": stream}))).await.whole().await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    server.stop().await;
    assert!(connection.closed_cleanly().await, "an idle connection is closed in good order");
}

#[tokio::test]
async fn a_server_without_keys_makes_one_that_works() {
    let server = Server::start("").await;
    let key = server.first_key.clone().expect("a first key");
    assert_eq!(server.ask(&question(&json!({})).bearer(&key)).await.status, 200);
    assert_eq!(server.ask(&question(&json!({}))).await.status, 401);
    server.stop().await;
}
