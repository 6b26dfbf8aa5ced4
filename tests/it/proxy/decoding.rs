//! Forms of event streams from upstreams: the client always gets the canonical form.

use serde_json::json;

use super::says;
use crate::server::Server;
use test_support::frames::{first, frame, last, request, text};
use test_support::http::{Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

fn stream() -> Request {
    Request::chat(&request(&json!({"stream": true})))
}

/// The canonical form of a stream of these tokens.
fn canonical(words: &[&str]) -> String {
    let words = words.iter().map(|word| frame(&text(word)));
    [frame(&first())].into_iter().chain(words).chain([frame(&last("stop")), frame("[DONE]")]).collect()
}

/// The stream that the client gets, for this script.
async fn through(script: Script) -> String {
    let upstream = Upstream::start([script]).await;
    let server = Server::in_front_of(&upstream).await;
    let answer = server.ask(&stream()).await;
    answer.transcript();
    server.stop().await;
    answer.text().to_owned()
}

#[tokio::test]
async fn the_canonical_form_passes_untouched() {
    assert_eq!(through(says(&["a", "\u{e9}", "\u{1F431}"])).await, canonical(&["a", "\u{e9}", "\u{1F431}"]));
}

#[tokio::test]
async fn any_line_end_space_and_comment_is_accepted() {
    let lines = [
        canonical(&["a"]).replace('\n', "\r\n"),
        canonical(&["a"]).replace('\n', "\r"),
        canonical(&["a"]).replace("data: ", "data:"),
        canonical(&["a"]).replace("data: ", ": a comment\n:\n\n: another\ndata: "),
        canonical(&["a"]).replace("data: ", "id: 7\nretry: 10\nevent: message\ndata: "),
        format!("\u{feff}{}", canonical(&["a"])),
        canonical(&["a"]).replace("data: ", "data:\n\ndata: "),
        canonical(&["a"]).replace("data: ", "event: ping\n\ndata: "),
    ];
    for stream in lines {
        assert_eq!(through(Script::stream().chunk(&stream).end()).await, canonical(&["a"]), "{stream:?}");
    }
}

#[tokio::test]
async fn json_over_several_lines_becomes_one() {
    let spread =
        text("a").replace(",\"object\"", ",\ndata: \"object\"").replace("\"choices\":[", "\"choices\":[\ndata:");
    let body = format!("{}data: {spread}\n\n{}{}", frame(&first()), frame(&last("stop")), frame("[DONE]"));
    let got = through(Script::stream().chunk(body).end()).await;
    let transcript = test_support::completion_stream::read(got.as_bytes());
    assert_eq!(transcript.text(0), "a");
}

#[tokio::test]
async fn a_stream_split_at_every_byte() {
    let words = ["caf\u{e9}", "\u{1F431}\u{200d}\u{2b1b}", " \\n "];
    assert_eq!(through(Script::stream().trickle(canonical(&words)).end()).await, canonical(&words));
    let crlf = canonical(&words).replace('\n', "\r\n");
    assert_eq!(through(Script::stream().trickle(crlf).end()).await, canonical(&words));
}

#[tokio::test]
async fn a_stream_in_one_piece() {
    let words = ["a"; 500];
    assert_eq!(through(Script::stream().chunk(canonical(&words)).end()).await, canonical(&words));
}

#[tokio::test]
async fn http_1_0_until_the_connection_closes() {
    let head = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let script = Script::new().write(head).write(canonical(&["a"])).close();
    assert_eq!(through(script).await, canonical(&["a"]));
}

#[tokio::test]
async fn a_stream_with_a_length() {
    let body = canonical(&["a"]);
    assert_eq!(through(Script::whole(200, "content-type: text/event-stream\r\n", &body)).await, body);
}

#[tokio::test]
async fn informational_responses_are_skipped() {
    let informed = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let script = Script::new().write(format!("{informed}{head}")).chunk(canonical(&["a"])).end();
    assert_eq!(through(script).await, canonical(&["a"]));
}

#[tokio::test]
async fn a_frame_of_a_mebibyte_passes_untouched() {
    let big = "x".repeat(1 << 20);
    assert!(through(says(&[&big, "y"])).await == canonical(&[&big, "y"]), "the frame has changed");
}

#[tokio::test]
async fn chunks_are_passed_on_one_by_one() {
    let (second, third) = (Gate::new(), Gate::new());
    let script = Script::stream()
        .frame(&first())
        .wait(&second)
        .frame(&text("a"))
        .wait(&third)
        .frame(&text("b"))
        .frame(&last("stop"))
        .frame("[DONE]")
        .end();
    let upstream = Upstream::start([script]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    // Each chunk is sent only after the one before it has arrived here.
    assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));
    second.open();
    assert_eq!(answer.piece().await, Piece::Data(frame(&text("a")).into()));
    third.open();
    let rest = answer.body().await;
    let expected: String = [text("b"), last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect();
    assert_eq!(String::from_utf8(rest).unwrap(), expected);
    server.stop().await;
}

#[tokio::test]
async fn an_unfinished_frame_is_not_passed_on() {
    let rest = Gate::new();
    let (begin, end) =
        frame(&text("\u{1F431}")).into_bytes().split_at_checked(40).map(|(a, b)| (a.to_vec(), b.to_vec())).unwrap();
    let script =
        Script::stream().frame(&first()).chunk(begin).wait(&rest).chunk(end).frame(&last("stop")).frame("[DONE]").end();
    let upstream = Upstream::start([script]).await;
    let server = Server::in_front_of(&upstream).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));
    rest.open();
    let body = String::from_utf8(answer.body().await).unwrap();
    let expected: String =
        [text("\u{1F431}"), last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect();
    assert_eq!(body, expected);
    server.stop().await;
}
