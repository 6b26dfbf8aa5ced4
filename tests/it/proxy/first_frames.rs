//! The first frame of an upstream, which decides the status and whether a stream begins.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::frames::{answer, first, frame, last, request};
use test_support::http::{Piece, Request, Whole};
use test_support::upstream::{Gate, Script, Upstream};

/// The answer to a streaming request, for this script.
async fn through(script: Script) -> Whole {
    let upstream = Upstream::start([script]).await;
    let server = Server::in_front_of(&upstream).await;
    let answer = server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
    server.stop().await;
    answer
}

#[tokio::test]
async fn all_members_of_an_error_are_passed_on() {
    let error = r#"{"error":{"message":"No.","type":"x","param":"n","code":"content_filter"}}"#;
    let expected: Value = serde_json::from_str(error).unwrap();
    assert_eq!(through(Script::sse([error])).await.error(502), expected["error"]);
}

#[tokio::test]
async fn an_event_named_error_is_an_error_whatever_its_data() {
    for (data, status) in [
        (json!({"message": "No."}), 502),
        (json!({"message": "No.", "code": 400}), 400),
        (json!({"detail": "No.", "choices": []}), 502),
        (json!({"error": {"message": "No."}}), 502),
    ] {
        let answer = through(Script::stream().chunk(format!("event: error\ndata: {data}\n\n")).end()).await;
        assert_eq!(answer.error(status)["message"], "No.", "{data}");
    }
}

#[tokio::test]
async fn an_error_without_its_blank_line_is_an_error() {
    let error = r#"{"error":{"message":"No.","type":"x","param":null,"code":400}}"#;
    for end in ["", "\n"] {
        // The body ends by its framing, or with the connection.
        let data = format!("data: {error}{end}");
        let until_closed = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        for script in
            [Script::stream().chunk(&data).end(), Script::new().write(until_closed).write(data.clone()).close()]
        {
            let shown = through(script).await.error(400);
            assert_eq!((&shown["message"], &shown["type"]), (&json!("No."), &json!("x")));
        }
        let named = Script::stream().chunk(format!("event: error\ndata: {{\"message\":\"No.\"}}{end}")).end();
        assert_eq!(through(named).await.error(502)["message"], "No.");
    }
}

#[tokio::test]
async fn a_chunk_that_lacks_its_blank_line_is_passed_on_whole() {
    let begun = first().replace(r#""content":"""#, r#""content":"a""#);
    let answer = through(Script::stream().chunk(format!("data: {begun}")).end()).await;
    let Ending::Failed(error) = answer.transcript().ending else { panic!("{}", answer.text()) };
    assert_eq!(error["code"], "upstream_closed");
    assert!(answer.text().starts_with(&frame(&begun)), "{}", answer.text());
    // A chunk with the role only does not begin the stream.
    assert_eq!(
        through(Script::stream().chunk(format!("data: {}", first())).end()).await.error(502)["code"],
        "upstream_closed"
    );

    // A single chunk with text and finish reason is an answer.
    let all = first().replace(r#""content":"""#, r#""content":"a""#).replace(r#"reason":null"#, r#"reason":"stop""#);
    for end in ["", "\n", "\r\n"] {
        let answer = through(Script::stream().chunk(format!("data: {all}{end}")).end()).await;
        assert_eq!(answer.text(), frame(&all) + &frame("[DONE]"));
    }
}

#[tokio::test]
async fn done_without_a_chunk_is_no_stream() {
    for script in [
        Script::sse(["[DONE]"]),
        Script::stream().chunk("data: [DONE]").end(),
        Script::stream().chunk(": hello\n\ndata:\n\ndata: [DONE]\n\n").end().close(),
        Script::sse(["[DONE]".to_owned(), first(), last("stop")]),
        Script::sse([first(), "[DONE]".to_owned()]),
        Script::sse([first(), first(), "[DONE]".to_owned()]),
        Script::stream().chunk("event: ping\ndata: {\"type\":\"ping\"}\n\ndata: {}\n\ndata: [DONE]\n\n").end(),
    ] {
        let error = through(script).await.error(502);
        assert_eq!((&error["code"], &error["type"]), (&json!("upstream_malformed"), &json!("server_error")));
    }
}

#[tokio::test]
async fn an_answer_without_text_is_an_answer_if_it_has_a_finish_reason() {
    let answer = through(Script::sse([first(), last("stop"), "[DONE]".to_owned()])).await;
    assert_eq!(answer.text(), frame(&first()) + &frame(&last("stop")) + &frame("[DONE]"));
}

#[tokio::test]
async fn a_role_without_a_token_goes_out_after_a_moment() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().frame(&first()).wait(&never)]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&Request::chat(&request(&json!({"stream": true})))).await;
    assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_is_known_by_its_first_bytes() {
    let body = frame(&first()) + &frame(&last("stop")) + &frame("[DONE]");
    let begins = ["", ": hello\n\n", "\u{feff}", "\n\n", "event: ping\ndata: {}\n\n", "retry: 5\n\n", "id: 1\n\n"];
    for (kind, begin) in ["application/json", "application/octet-stream", "text/html", ""]
        .into_iter()
        .flat_map(|kind| begins.map(|begin| (kind, begin)))
    {
        let header = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
        let whole = Script::whole(200, &header, &format!("{begin}{body}"));
        assert_eq!(through(whole).await.text(), body, "{kind} {begin:?}");
    }
    // However it comes.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(through(Script::new().write(head).trickle(&body).end()).await.text(), body);
}

#[tokio::test]
async fn json_labelled_as_a_stream_is_read_as_json() {
    let stream = "content-type: text/event-stream\r\n";
    let error = r#" {"error":{"message":"No.","type":"x","param":null,"code":400}} "#;
    for script in [
        Script::whole(200, stream, error),
        Script::whole(200, "", error),
        Script::stream().trickle(error).end(),
        Script::whole(200, stream, &format!("[{}]", error.trim())),
    ] {
        assert_eq!(through(script).await.error(400)["message"], "No.");
    }
    let both =
        r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"error"}],"error":{"message":"No."}}"#;
    assert_eq!(through(Script::whole(200, stream, both)).await.error(502)["message"], "No.");
    assert_eq!(through(Script::whole(200, stream, &answer("hi"))).await.error(502)["code"], "upstream_malformed");
    assert_eq!(through(Script::whole(200, stream, "{\"id\":")).await.error(502)["code"], "upstream_malformed");
}

#[tokio::test]
async fn the_identity_encoding_is_accepted() {
    let headers = |kind: &str| format!("content-type: {kind}\r\ncontent-encoding: identity\r\n");
    let body = frame(&first()) + &frame(&last("stop")) + &frame("[DONE]");
    assert_eq!(through(Script::whole(200, &headers("text/event-stream"), &body)).await.text(), body);

    let upstream = Upstream::start([Script::whole(200, &headers("application/json"), &answer("hi"))]).await;
    let server = Server::in_front_of(&upstream).await;
    let whole = server.ask(&Request::chat(&request(&json!({})))).await;
    assert_eq!((whole.status, whole.text()), (200, answer("hi").as_str()));
    server.stop().await;
}
