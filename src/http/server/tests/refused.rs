//! Requests that violate RFC 9110 or 9112, with the statuses of hyper 1.12 for comparison. hyper checks trailers, but
//! neither `Host` nor chunk extensions.

use super::*;

/// The status of the response; 400 also if the body is invalid.
async fn status(request: &str) -> u16 {
    let service = |request: Request<RequestBody>| -> ServiceFuture {
        Box::pin(async move {
            let is_valid = request.into_body().collect().await.is_ok();
            let status = if is_valid { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            Ok(Response::builder().status(status).body(Body::from("<over>")).unwrap())
        })
    };
    let mut client = connect(OPTIONS, service).await;
    client.send(request).await;
    let head = client.until("\r\n\r\n").await;
    head[9..12].parse().unwrap()
}

#[tokio::test]
async fn an_invalid_host_is_refused() {
    for host in [
        "host: a b",
        "host: user@x",
        "host: user:pass@x:80",
        "host: x/y",
        "host: x?y",
        "host: x#y",
        "host: x\\y",
        "host: x,y",
        "host: [::1",
        "host: [x]",
        "host: ::1",
        "host: x:y",
        "host: x:99999",
        "host: \"x\"",
        "host: x\u{e9}",
        "host: %zz",
        "host: <x>",
        "host: x\tb",
        "host: x\r\nhost: y",
        "host: x\r\nhost: x",
        "a: b",
    ] {
        // hyper: 200.
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{host}\r\n\r\n")).await, 400, "{host}");
    }
    assert_eq!(status("GET http://user@x/ HTTP/1.1\r\nhost: x\r\n\r\n").await, 400);
    for host in ["", "x", "x:", "x:80", "[::1]", "[::1]:8080", "a_b.c:80", "127.0.0.1:1", "x!$&'()*+;=~", "%41", "X.Y."]
    {
        // hyper: 200.
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await, 200, "{host}");
    }
}

#[tokio::test]
async fn chunk_extensions_and_trailers_with_invalid_characters_are_refused() {
    for (body, ours, hyper) in [
        ("1;a\0b\r\nx\r\n0\r\n\r\n", 400, 200),
        ("1;a\u{1}\r\nx\r\n0\r\n\r\n", 400, 200),
        ("1;a\u{7f}\r\nx\r\n0\r\n\r\n", 400, 200),
        ("1;a\u{b}\r\nx\r\n0\r\n\r\n", 400, 200),
        ("1 ;a=\"\tb\u{e9}\"\r\nx\r\n0\r\n\r\n", 200, 200),
        ("0\r\nno colon\r\n\r\n", 400, 400),
        ("0\r\n: x\r\n\r\n", 400, 400),
        ("0\r\na b: x\r\n\r\n", 400, 400),
        ("0\r\na : x\r\n\r\n", 400, 400),
        ("0\r\n a: x\r\n\r\n", 400, 400),
        ("0\r\na: x\r\n b\r\n\r\n", 400, 400),
        ("0\r\na: \0\r\n\r\n", 400, 400),
        ("0\r\na: \u{1}\r\n\r\n", 400, 400),
        ("0\r\na: b\r\nc:d\r\n\r\n", 200, 200),
        ("0\r\na:\r\n\r\n", 200, 200),
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        assert_eq!(status(&request).await, ours, "{body:?}, hyper: {hyper}");
    }
}
