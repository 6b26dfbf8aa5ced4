//! Forwarding: which headers and bytes reach the upstream, and which reach the client.

use serde_json::json;

use super::says;
use crate::server::Server;
use test_support::frames::{answer, request};
use test_support::http::{Request, Whole};
use test_support::log::Log;
use test_support::upstream::{Script, Upstream};

/// A body in a form that no serialiser writes: it must be forwarded unchanged.
const ODD: &str = "{ \"messages\" : [\r\n\t{\"content\":\"caf\\u00e9 \u{1F431} \\/ \",\"role\":\"user\", \"extra\":1e400}],\
                   \"big\": 9007199254740993 , \"pi\":3.14000000000000012434,\"twice\":1,\"twice\":2,\
                   \"top_k\":4,\"chat_template_kwargs\":{\"enable_thinking\":false}, \"seed\":9223372036854775807,\
                   \"model\"  :  \"m\" ,\"stream\":false}  \n";

fn post(body: &str) -> Request {
    Request::new("POST", "/v1/chat/completions").header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn a_request_body_is_forwarded_byte_for_byte() {
    let upstream = Upstream::start([Script::json(200, &answer("hi"))]).await;
    let server = Server::in_front_of(&upstream).await;
    assert_eq!(server.ask(&post(ODD)).await.status, 200);
    let asked = upstream.request(1).await;
    assert_eq!(asked.line(), "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(asked.text(), ODD);
    server.stop().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_not_forwarded() {
    let upstream = Upstream::start([Script::json(200, &answer("hi"))]).await;
    let server = Server::in_front_of(&upstream).await;
    assert_eq!(server.ask(&post(&format!("\u{feff}{ODD}"))).await.status, 200);
    assert_eq!(upstream.request(1).await.text(), ODD);
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_the_upstream_cannot_take_at_once_arrives_whole() {
    let upstream = Upstream::start([]).await;
    let server = Server::in_front_of(&upstream).await;
    // Lengths around the threshold for one write with the head, and more than a socket buffer holds.
    for (count, length) in (1..).zip([4_000, 4_096, 4_200, 12 << 20]) {
        upstream.answer(Script::json(200, &answer("hi")));
        let text: String = (0..length / 8).map(|number| format!("{number:07} ")).collect();
        let body = request(&json!({"messages": [{"role": "user", "content": text}]})).to_string();
        assert_eq!(server.ask(&post(&body)).await.status, 200);
        assert!(upstream.request(count).await.text() == body, "{length} bytes");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_alias_changes_the_models_name_and_nothing_else() {
    let upstream = Upstream::start([Script::json(200, &answer("hi"))]).await;
    let server = Server::start(&format!(
        "auth: none\nmodels: [{{name: m, upstreams: [{{base_url: '{}', model: 'org/\"big\" model'}}]}}]\n",
        upstream.url()
    ))
    .await;
    assert_eq!(server.ask(&post(ODD)).await.status, 200);
    assert_eq!(upstream.request(1).await.text(), ODD.replace("\"m\" ,", "\"org/\\\"big\\\" model\" ,"));
    server.stop().await;
}

#[tokio::test]
async fn unknown_model_names_go_to_the_wildcard_upstream() {
    let upstream = Upstream::start([Script::json(200, &answer("hi"))]).await;
    let variables = [("OPENAI_BASE_URL", upstream.url()), ("OPENAI_API_KEY", "sk-upstream-key".to_owned())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::start_with_environment(&variables).await;
    let key = server.first_key.clone().expect("a first key");
    let body = request(&json!({"model": "whatever/name:1"})).to_string();
    assert_eq!(server.ask(&post(&body).bearer(&key)).await.status, 200);
    let asked = upstream.request(1).await;
    assert_eq!(asked.text(), body);
    assert_eq!(asked.header("authorization"), Some("Bearer sk-upstream-key"));
    server.stop().await;
}

#[tokio::test]
async fn a_plain_answer_comes_back_byte_for_byte() {
    let body = "{ \"choices\" : [ { } ],\r\n \"big\":9007199254740993,\"timings\":{\"x\":1.50},\"e\":\"\\u00e9\" }\n";
    let upstream = Upstream::start([Script::json(200, body)]).await;
    let server = Server::in_front_of(&upstream).await;
    let whole = server.ask(&post(ODD)).await;
    assert_eq!((whole.status, whole.text()), (200, body));
    assert_eq!(whole.header("content-type"), Some("application/json"));
    server.stop().await;
}

#[tokio::test]
async fn only_listed_client_headers_are_forwarded() {
    let upstream = Upstream::start([Script::json(200, &answer("hi")), says(&["hi"])]).await;
    let server = Server::in_front_of(&upstream).await;
    let headers = |request: Request| {
        request
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("tracestate", "a=b")
            .header("cookie", "session=1")
            .header("x-forwarded-for", "10.0.0.1")
            .header("x-stainless-lang", "python")
            .header("user-agent", "somebody/1.0")
            .header("openai-organization", "org")
            .header("accept-encoding", "gzip, br")
            .header("api-key", "secret")
            .bearer("sk-of-the-client")
    };
    assert_eq!(server.ask(&headers(Request::chat(&request(&json!({}))))).await.status, 200);
    assert_eq!(server.ask(&headers(Request::chat(&request(&json!({"stream": true}))))).await.status, 200);
    for (number, accept) in [(1, "application/json"), (2, "text/event-stream")] {
        let asked = upstream.request(number).await;
        let names = [
            "accept",
            "accept-encoding",
            "content-length",
            "content-type",
            "host",
            "traceparent",
            "tracestate",
            "user-agent",
        ];
        assert_eq!(asked.header_names(), names);
        assert_eq!(asked.header("accept"), Some(accept));
        assert_eq!(asked.header("accept-encoding"), Some("identity"));
        assert_eq!(asked.header("tracestate"), Some("a=b"));
        assert_eq!(asked.header("host"), upstream.url().strip_prefix("http://").unwrap().strip_suffix("/v1"));
        assert!(asked.header("user-agent").unwrap().starts_with("petstream/"));
    }
    server.stop().await;
}

#[tokio::test]
async fn upstream_headers_are_not_returned() {
    let more = "content-type: application/json\r\nset-cookie: a=b\r\nserver: secret/1.0\r\nx-request-id: req_up\r\n\
                openai-organization: org\r\nx-ratelimit-limit-requests: 9\r\nvia: 1.1 inner\r\n";
    let head = format!(
        "HTTP/1.1 200 OK\r\n{}transfer-encoding: chunked\r\n\r\n",
        more.replace("application/json", "text/event-stream")
    );
    let stream = Script::new().write(head).frame(&test_support::frames::first());
    let stream = stream.frame(&test_support::frames::last("stop")).frame("[DONE]").end();
    let upstream = Upstream::start([Script::whole(200, more, &answer("hi")), stream]).await;
    let server = Server::in_front_of(&upstream).await;
    for stream in [false, true] {
        let whole: Whole = server.ask(&Request::chat(&request(&json!({ "stream": stream })))).await;
        assert_eq!(whole.status, 200);
        for name in ["set-cookie", "server", "openai-organization", "x-ratelimit-limit-requests", "via"] {
            assert_eq!(whole.header(name), None, "{name}");
        }
        assert_ne!(whole.header("x-request-id"), Some("req_up"));
    }
    server.stop().await;
}

#[tokio::test]
async fn keys_are_neither_forwarded_nor_logged() {
    let (ours, theirs) = ("sk-client-side-0123456789", "sk-upstream-side-0123456789");
    let log = Log::collect();
    let quoted = format!(
        r#"{{"error":{{"message":"Bad key {theirs}","type":"{theirs}","param":"{theirs}","code":"{theirs}"}}}}"#
    );
    let upstream = Upstream::start([
        says(&["hi"]),
        Script::json(401, &quoted),
        Script::json(400, &quoted),
        Script::json(500, &quoted),
        Script::json(200, &quoted),
        Script::sse([quoted.as_str()]),
        Script::stream().frame(&test_support::frames::first()).frame(&quoted).end(),
        Script::stream()
            .frame(&test_support::frames::first())
            .chunk(format!("event: error\ndata: {{\"message\":\"{theirs}\"}}\n\n"))
            .end(),
    ])
    .await;
    let yaml = format!(
        "keys: [{{name: alice, key: {ours}}}]\n\
         models: [{{name: m, retries: {{same_target: 0}}, upstreams: [{{base_url: '{}', api_key: {theirs}}}]}}]\n",
        upstream.url()
    );
    let server = Server::start(&yaml).await;
    for (at, stream) in [true, false, false, true, false, true, true, true].into_iter().enumerate() {
        let whole = server.ask(&Request::chat(&request(&json!({ "stream": stream }))).bearer(ours)).await;
        let shown = whole.text();
        assert!(!shown.contains("upstream-side"), "answer {at}: {shown}");
        let asked = upstream.request(at + 1).await;
        assert_eq!(asked.header("authorization"), Some(format!("Bearer {theirs}").as_str()));
        assert!(!asked.head.contains(ours) && !asked.text().contains(ours));
    }
    server.stop().await;
    let log = log.text();
    assert!(log.contains("alice"), "something is logged: {log:?}");
    assert!(!log.contains("upstream-side") && !log.contains("client-side"), "{log}");
}

#[tokio::test]
async fn a_repeated_member_is_refused_before_any_upstream_request() {
    let upstream = Upstream::start([]).await;
    let server = Server::in_front_of(&upstream).await;
    let twice = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"model":"petstore-ai"}"#;
    let error = server.ask(&post(twice)).await.error(400);
    assert_eq!((error["code"].as_str(), error["param"].as_str()), (Some("duplicate_parameter"), Some("model")));
    assert_eq!(upstream.accepted(), 0);
    server.stop().await;
}
