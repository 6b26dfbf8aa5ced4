//! Authentication by API key, and its refusals.

use std::time::{Duration, Instant};

use petstream::store::{NewKey, Store};
use serde_json::json;

use crate::server::Server;
use test_support::frames::{answer, request};
use test_support::http::{Request, Whole};
use test_support::log::Log;
use test_support::upstream::{Script, Upstream};
use test_support::{becomes, soon};

const KEYS: &str = r"
keys:
  - {name: alice, key: sk-alice-0123456789}
  - {name: late, key: sk-late-0123456789, expires: 2001-01-01}
  - {name: narrow, key: sk-narrow-0123456789, models: [gpt-4o-mini]}
  - {name: reader, key: sk-reader-0123456789, scopes: [store:read]}
  - {name: talker, key: sk-talker-0123456789, scopes: [chat]}
";
const ALICE: &str = "sk-alice-0123456789";

fn models() -> Request {
    Request::new("GET", "/v1/models")
}

fn question() -> Request {
    Request::chat(&json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "How many cats?"}]}))
}

#[track_caller]
fn assert_401(answer: &Whole, code: Option<&str>, message: &str) {
    let error = answer.error(401);
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("invalid_request_error"), code), "{error}");
    assert!(error["param"].is_null());
    assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn a_valid_key_is_accepted() {
    let server = Server::start(KEYS).await;
    assert_eq!(server.ask(&question().bearer(ALICE)).await.status, 200);
    // The case of the scheme does not matter.
    assert_eq!(server.ask(&models().header("authorization", &format!("bearer {ALICE}"))).await.status, 200);
    assert_eq!(server.first_key, None, "none is made where there are some");
    server.stop().await;
}

#[tokio::test]
async fn no_key() {
    let server = Server::start(KEYS).await;
    for request in [question(), models(), Request::new("GET", "/v1/models/petstore-ai")] {
        assert_401(&server.ask(&request).await, None, "You didn't provide an API key.");
    }
    server.stop().await;
}

#[tokio::test]
async fn headers_without_a_key() {
    let server = Server::start(KEYS).await;
    for value in ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", ALICE, "Bearer two words"] {
        assert_401(&server.ask(&models().header("authorization", value)).await, Some("invalid_api_key"), "");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_named_but_not_repeated() {
    let server = Server::start(KEYS).await;
    let answer = server.ask(&models().bearer("sk-wrong-0123456789")).await;
    assert_401(&answer, Some("invalid_api_key"), "Incorrect API key provided: sk-w***.");
    assert!(!answer.text().contains("wrong-0123456789"));
    assert_401(
        &server.ask(&models().bearer("short")).await,
        Some("invalid_api_key"),
        "Incorrect API key provided: ***.",
    );
    // A key with one wrong character.
    let almost = format!("{ALICE}0");
    assert_401(&server.ask(&models().bearer(&almost)).await, Some("invalid_api_key"), "Incorrect API key provided: ");
    server.stop().await;
}

#[tokio::test]
async fn an_expired_key_is_a_wrong_one() {
    let server = Server::start(KEYS).await;
    let answer = server.ask(&models().bearer("sk-late-0123456789")).await;
    assert_401(&answer, Some("invalid_api_key"), "Incorrect API key provided: sk-l***.");
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_the_key_may_not_use_is_not_there() {
    let server = Server::start(KEYS).await;
    let key = "sk-narrow-0123456789";
    let message = "The model `petstore-ai` does not exist or you do not have access to it.";
    for request in [question().bearer(key), Request::new("GET", "/v1/models/petstore-ai").bearer(key)] {
        let error = server.ask(&request).await.error(404);
        assert_eq!((error["code"].as_str(), error["message"].as_str()), (Some("model_not_found"), Some(message)));
    }
    assert_eq!(server.ask(&models().bearer(key)).await.json()["data"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn scopes_are_kept_on_both_surfaces() {
    let server = Server::start(KEYS).await;
    let (reader, talker) = ("sk-reader-0123456789", "sk-talker-0123456789");
    let error = server.ask(&question().bearer(reader)).await.error(403);
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str()),
        (Some("invalid_request_error"), Some("insufficient_permissions"))
    );
    assert_eq!(server.ask(&models().bearer(reader)).await.status, 403);
    assert_eq!(server.ask(&question().bearer(talker)).await.status, 200);

    let pets = Request::new("GET", "/api/pets?limit=1");
    assert_eq!(server.ask(&pets.clone().bearer(reader)).await.status, 200);
    for (answer, status) in [(server.ask(&pets.clone().bearer(talker)).await, 403), (server.ask(&pets).await, 401)] {
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/problem+json")));
        assert_eq!(answer.json()["status"], status);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_of_another_process_works_at_its_first_use_and_a_revoked_one_not_for_long() {
    let server = Server::start_on_disk("").await;
    let elsewhere = Store::open(&server.database()).await.unwrap();
    let secret = "sk-petstream-of-another-process";
    elsewhere.create_key(NewKey::new("other".to_owned(), secret)).await.unwrap();
    assert_eq!(server.ask(&models().bearer(secret)).await.status, 200);

    elsewhere.revoke_key("other").await.unwrap();
    let revoked = Instant::now();
    let refused = async {
        loop {
            let began = revoked.elapsed();
            let answer = server.ask(&models().bearer(secret)).await;
            if answer.status != 200 {
                return answer;
            }
            assert!(began < Duration::from_secs(1), "let in {began:?} after it was revoked");
        }
    };
    let answer = soon("the revoked key to be refused", refused).await;
    assert_401(&answer, Some("invalid_api_key"), "Incorrect API key provided: sk-p***.");
    elsewhere.close().await;
    server.stop().await;
}

#[tokio::test]
async fn repeated_failures_are_delayed_and_valid_keys_never_are() {
    let server = Server::start_alone(KEYS).await;
    for _ in 0..20 {
        assert_eq!(server.ask(&models()).await.status, 401);
    }
    // The clock of the limits is paused: from here on, every failure of this address exceeds the limit.
    let late = async {
        let began = Instant::now();
        let answer = server.ask(&models()).await;
        (answer, began.elapsed())
    };
    let valid = async {
        let began = Instant::now();
        for _ in 0..30 {
            assert_eq!(server.ask(&models().bearer(ALICE)).await.status, 200);
        }
        began.elapsed()
    };
    let ((late, waited), valid) = tokio::join!(late, valid);
    assert_401(&late, None, "You didn't provide an API key.");
    assert!(waited >= Duration::from_millis(900), "answered after {waited:?}");
    assert!(valid < Duration::from_secs(25), "30 requests with a valid key took {valid:?}");

    server.advance(Duration::from_secs(60));
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.ask(&models()).await.status, 401);
    }
    assert!(began.elapsed() < Duration::from_secs(15), "a minute later all is forgotten");
    server.stop().await;
}

#[tokio::test]
async fn the_queue_of_delayed_failures_is_bounded() {
    let server = Server::start_alone(KEYS).await;
    let mut connections = Vec::new();
    for _ in 0..400 {
        connections.push(server.connect().await);
    }
    let all = connections.iter_mut().map(async |connection| {
        let began = Instant::now();
        let status = connection.ask(&models()).await.whole().await.status;
        (status, began.elapsed())
    });
    let answers = futures_util::future::join_all(all).await;
    // The first twenty are answered at once; those that exceed the queue are refused.
    let at_once = |(status, wait): &&(u16, Duration)| *status == 401 && *wait < Duration::from_millis(950);
    assert!(answers.iter().filter(at_once).count() <= 20, "{answers:?}");
    let refused = answers.iter().filter(|(status, _)| *status == 429).count();
    assert!(refused > 0 && answers.iter().all(|(status, _)| matches!(status, 401 | 429)), "{answers:?}");
    server.stop().await;
}

#[tokio::test]
async fn auth_none_accepts_all_requests_even_with_a_wrong_key() {
    let server = Server::start("auth: none\n").await;
    assert_eq!(server.ask(&question()).await.status, 200);
    assert_eq!(server.ask(&question().bearer("whatever")).await.status, 200);
    assert_eq!(server.ask(&Request::new("GET", "/api/pets")).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn probes_need_no_key_and_are_not_rate_limited() {
    let server = Server::start(&format!("{KEYS}limits: {{total: {{requests_per_minute: 1}}}}\n")).await;
    for _ in 0..3 {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(server.ask(&Request::new("GET", path)).await.status, 200);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn keys_of_the_environment_may_do_everything() {
    let server = Server::start_with_environment(&[("PETSTREAM_API_KEY", "sk-one-0123456789, sk-two-0123456789")]).await;
    for key in ["sk-one-0123456789", "sk-two-0123456789"] {
        assert_eq!(server.ask(&question().bearer(key)).await.status, 200);
        assert_eq!(server.ask(&Request::new("GET", "/api/pets").bearer(key)).await.status, 200);
    }
    assert_eq!(server.first_key, None);
    server.stop().await;
}

#[tokio::test]
async fn replaced_key_files_are_read_while_the_server_runs() {
    let log = Log::collect();
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::json(200, &answer("hi")));
    let yaml = format!(
        "keys: [{{name: alice, key_file: alice.key}}]\n\
         models: [{{name: m, upstreams: [{{base_url: '{}', api_key_file: upstream.key}}]}}]\n",
        upstream.url()
    );
    let files = [("alice.key", "alice-old-0123456789\n"), ("upstream.key", "upstream-old-0123456789\n")];
    let server = Server::start_with_files(&yaml, &files).await;
    let chat = |key: &str| Request::chat(&request(&json!({}))).bearer(key);
    assert_eq!(server.ask(&chat("alice-old-0123456789")).await.status, 200);
    assert_eq!(upstream.request(1).await.header("authorization"), Some("Bearer upstream-old-0123456789"));

    server.replace_file("upstream.key", "upstream-new-0123456789");
    server.replace_file("alice.key", "alice-new-0123456789");
    becomes(&200, async || server.ask(&chat("alice-new-0123456789")).await.status).await;
    assert_401(&server.ask(&chat("alice-old-0123456789")).await, Some("invalid_api_key"), "");
    let shown = async || {
        server.ask(&chat("alice-new-0123456789")).await;
        upstream.requests().last().unwrap().header("authorization").unwrap().to_owned()
    };
    becomes(&"Bearer upstream-new-0123456789".to_owned(), shown).await;

    server.replace_file("alice.key", "");
    soon("the log to say so", async {
        while !log.text().contains("can't be read") {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert_eq!(server.ask(&chat("alice-new-0123456789")).await.status, 200);
    server.stop().await;
    let log = log.text();
    assert!(log.contains("keys[0].key_file") && log.contains("alice.key"), "{log}");
    assert!(!log.contains("0123456789"), "{log}");
}

#[tokio::test]
async fn two_keys_and_compressed_bodies_are_refused_in_the_format_of_the_surface() {
    let alice = "sk-alice-0123456789";
    let server = Server::start(&format!("keys: [{{name: alice, key: {alice}}}]\n")).await;
    let chat =
        Request::chat(&serde_json::json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "hi"}]}));
    let pet = Request::new("POST", "/api/pets").header("content-type", "application/json").body("{}");
    for second in [alice, "sk-wrong-0123456789"] {
        server.ask(&chat.clone().bearer(alice).bearer(second)).await.error(400);
        let refused = server.ask(&pet.clone().bearer(alice).bearer(second)).await;
        assert_eq!((refused.status, refused.header("content-type")), (400, Some("application/problem+json")));
    }
    for (coding, status) in [("gzip", 415), ("identity, br", 415), ("identity", 200)] {
        let answer = server.ask(&chat.clone().bearer(alice).header("content-encoding", coding)).await;
        assert_eq!(answer.status, status, "{coding}");
        if status == 415 {
            answer.error(415);
            let refused = server.ask(&pet.clone().bearer(alice).header("content-encoding", coding)).await;
            assert_eq!((refused.status, refused.header("content-type")), (415, Some("application/problem+json")));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn head_opens_no_subscription_and_has_no_length() {
    let server = Server::start("auth: none\nevents: {subscribers: 1}\n").await;
    let mut connection = server.connect().await;
    for _ in 0..3 {
        connection.send(&Request::new("HEAD", "/api/events")).await;
        let head = connection.answer().await;
        assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("content-length"), None);
    }
    let page = server.ask(&Request::new("GET", "/api/events?wait=0")).await;
    assert_eq!(page.status, 200, "no place is taken");
    server.stop().await;
}
