//! Authentication of browsers with tickets and cookies, and pages of other origins.

use petstream::wire::api_key::KeyHash;
use serde_json::json;

use super::shop::Shop;
use test_support::event_stream::{Ending, Stream, get};
use test_support::http::{Request, Whole};

const SECRET: &str = "sk-petstream-test-0123456789";

fn keys(more: &str) -> String {
    format!("keys: [{{name: page, key: {SECRET}}}, {{name: chat, key: chat-0123456789abcdef, scopes: [chat]}}]\n{more}")
}

async fn ticket(shop: &Shop) -> String {
    let answer = shop.ask(&Request::new("POST", "/api/events/tickets").bearer(SECRET)).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let answer = answer.json();
    assert_eq!(answer["expires_in"], 30);
    answer["ticket"].as_str().unwrap().to_owned()
}

/// The pair and the attributes of a `Set-Cookie`.
fn cookie(header: &str) -> (String, Vec<String>) {
    let mut parts = header.split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

async fn status(shop: &Shop, request: Request) -> u16 {
    shop.ask(&request).await.status
}

#[tokio::test]
async fn a_ticket_is_valid_once_and_its_cookie_afterwards() {
    let shop = Shop::open(&keys("")).await;
    assert_eq!(status(&shop, get("/api/events")).await, 401);
    let target = format!("/api/events?topics=pets&ticket={}", ticket(&shop).await);
    let stream = Stream::open(shop.address, get(&target)).await;
    let (pair, attributes) = cookie(stream.header("set-cookie").unwrap());
    assert_eq!(attributes, ["Max-Age=43200", "Path=/api/events", "HttpOnly", "SameSite=Strict"]);
    drop(stream);
    assert_eq!(status(&shop, get(&target)).await, 401, "the ticket is used up");
    // The browser reconnects to the same URL with the cookie; also after a restart.
    let shop = shop.restart().await;
    let (_, stream) = Stream::greeted(shop.address, get(&target).header("cookie", &format!("a=b; {pair}"))).await;
    assert_eq!(stream.header("set-cookie"), None);
    let page = get("/api/events/orders?wait=0").header("cookie", &pair);
    assert_eq!(status(&shop, page).await, 200);
}

#[tokio::test]
async fn a_cookie_authorises_reading_events_only() {
    let shop = Shop::open(&keys("")).await;
    let answer = shop.ask(&Request::new("POST", "/api/events/sessions").bearer(SECRET)).await;
    assert_eq!(answer.status, 204);
    let (pair, _) = cookie(answer.header("set-cookie").unwrap());
    let with_cookie = |method: &str, path: &str| Request::new(method, path).header("cookie", &pair);
    assert_eq!(status(&shop, with_cookie("GET", "/api/events?wait=0")).await, 200);
    for (method, path) in [
        ("GET", "/api/pets"),
        ("POST", "/api/pets"),
        ("GET", "/v1/models"),
        ("POST", "/api/events/tickets"),
        ("POST", "/api/events/sessions"),
    ] {
        assert_eq!(status(&shop, with_cookie(method, path)).await, 401, "{method} {path}");
    }
    let wrong = get("/api/events").header("cookie", "petstream_events=0000").bearer("wrong-0123456789");
    assert_eq!(status(&shop, wrong).await, 401);
    // A presented key takes precedence.
    let wrong = with_cookie("GET", "/api/events?wait=0").bearer("wrong-0123456789");
    assert_eq!(status(&shop, wrong).await, 401);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let shop = Shop::open(&keys("")).await;
    let answer = shop.ask(&Request::new("POST", "/api/events/sessions").bearer(SECRET)).await;
    let (pair, _) = cookie(answer.header("set-cookie").unwrap());
    let out = shop.ask(&Request::new("DELETE", "/api/events/sessions").header("cookie", &pair)).await;
    assert_eq!(out.status, 204);
    let (empty, attributes) = cookie(out.header("set-cookie").unwrap());
    assert_eq!((empty.as_str(), attributes[0].as_str()), ("petstream_events=", "Max-Age=0"));
    assert_eq!(status(&shop, get("/api/events").header("cookie", &pair)).await, 401);
    assert_eq!(status(&shop, Request::new("DELETE", "/api/events/sessions")).await, 204, "nothing to end is no error");
}

#[tokio::test]
async fn a_ticket_requires_the_scope_to_read_the_store() {
    let shop = Shop::open(&keys("")).await;
    let chat = Request::new("POST", "/api/events/tickets").bearer("chat-0123456789abcdef");
    assert_eq!(status(&shop, chat).await, 403);
    assert_eq!(status(&shop, Request::new("POST", "/api/events/tickets")).await, 401);
    assert_eq!(status(&shop, get("/api/events?ticket=nonsense")).await, 401);
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_and_its_sessions() {
    let shop = Shop::open("events: {heartbeat: 1s}\n").await;
    let secret = "made-0123456789abcdef";
    shop.store.create_key(petstream::store::NewKey::new("made".into(), secret)).await.unwrap();
    let answer = shop.ask(&Request::new("POST", "/api/events/sessions").bearer(secret)).await;
    let (pair, _) = cookie(answer.header("set-cookie").unwrap());
    let mut by_key = Stream::open(shop.address, get("/api/events").bearer(secret)).await;
    let mut by_cookie = Stream::open(shop.address, get("/api/events").header("cookie", &pair)).await;
    shop.store.revoke_key("made").await.unwrap();
    for stream in [&mut by_key, &mut by_cookie] {
        assert_eq!(stream.rest().await.1, Ending::Whole);
    }
    assert_eq!(status(&shop, get("/api/events").header("cookie", &pair)).await, 401);
    assert_eq!(status(&shop, get("/api/events").bearer(secret)).await, 401);
}

#[tokio::test]
async fn the_cookie_has_the_public_path_and_secure_over_https() {
    let shop = Shop::open(&keys("public_path: /shop/\ncookies: {secure: true}\n")).await;
    let answer = shop.ask(&Request::new("POST", "/api/events/sessions").bearer(SECRET)).await;
    let (_, attributes) = cookie(answer.header("set-cookie").unwrap());
    assert_eq!(attributes, ["Max-Age=43200", "Path=/shop/api/events", "HttpOnly", "SameSite=Strict", "Secure"]);
}

#[tokio::test]
async fn neither_tickets_nor_tokens_are_stored() {
    let shop = Shop::open_on_sqlite(&keys("")).await;
    let ticket = ticket(&shop).await;
    let answer = shop.ask(&Request::new("POST", "/api/events/sessions").bearer(SECRET)).await;
    let (pair, _) = cookie(answer.header("set-cookie").unwrap());
    let (_, token) = pair.split_once('=').unwrap();
    let token = token.to_owned();
    let folder = shop.stopped().await;
    // SQLite's write-ahead log must not contain them either.
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let stored = files.filter(|path| path.extension().is_some_and(|extension| extension != "yaml"));
    let database: Vec<u8> = stored.flat_map(|path| std::fs::read(path).unwrap()).collect();
    let holds = |text: &str| memchr::memmem::find(&database, text.as_bytes()).is_some();
    assert!(holds(&KeyHash::of(&token).to_hex()));
    assert!(!holds(&token) && !holds(&ticket) && !holds(SECRET));
    // The hash of a short key must not leak either.
    assert!(!holds(&KeyHash::of(SECRET).to_hex()));
}

#[tokio::test]
async fn events_are_public_where_reading_is() {
    let shop = Shop::open(&keys("petstore: {public_reads: true}\n")).await;
    let (_, _stream) = Stream::greeted(shop.address, get("/api/events")).await;
    assert_eq!(status(&shop, get("/api/events").bearer("wrong-0123456789")).await, 401);
    assert_eq!(status(&shop, Request::new("POST", "/api/events/tickets")).await, 401);
}

#[tokio::test]
async fn a_page_of_an_allowed_other_site_comes_back_with_a_cookie_of_that_site() {
    let shop = Shop::open(&keys("cors: {allow_origins: [https://shop.example]}\n")).await;
    let of_page =
        |request: Request, origin: &str| request.header("sec-fetch-site", "cross-site").header("origin", origin);
    let target = format!("/api/events?topics=pets&ticket={}", ticket(&shop).await);
    let stream = Stream::open(shop.address, of_page(get(&target), "https://shop.example")).await;
    let (pair, attributes) = cookie(stream.header("set-cookie").unwrap());
    let other_site = ["Path=/api/events", "HttpOnly", "SameSite=None", "Secure", "Partitioned"];
    assert_eq!((attributes[0].as_str(), &attributes[1..]), ("Max-Age=43200", &other_site.map(str::to_owned)[..]));
    assert_eq!(status(&shop, get("/api/events?wait=0").header("cookie", &pair)).await, 200);
    // It is deleted with the attributes that it was set with, or the browser would keep it.
    let out = Request::new("DELETE", "/api/events/sessions").header("cookie", &pair);
    let out = shop.ask(&of_page(out, "https://shop.example")).await;
    assert_eq!(cookie(out.header("set-cookie").unwrap()).1[1..], other_site.map(str::to_owned));
    assert_eq!(status(&shop, get("/api/events?wait=0").header("cookie", &pair)).await, 401);
    // Pages of other origins get no cross-site cookie.
    let sign_in = Request::new("POST", "/api/events/sessions").bearer(SECRET);
    let answer = shop.ask(&of_page(sign_in, "https://evil.example")).await;
    assert!(cookie(answer.header("set-cookie").unwrap()).1.contains(&"SameSite=Strict".to_owned()));
}

fn allowed(answer: &Whole) -> (Option<&str>, Option<&str>) {
    (answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials"))
}

#[tokio::test]
async fn preflights_of_allowed_origins_need_no_key() {
    let shop = Shop::open(&keys("cors: {allow_origins: [https://shop.example]}\n")).await;
    let preflight = |origin: &str, path: &str| {
        Request::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization,last-event-id")
    };
    for path in ["/api/events", "/api/events/pets", "/api/pets/1", "/v1/chat/completions", "/api/nothing"] {
        let answer = shop.ask(&preflight("https://shop.example", path)).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(allowed(&answer), (Some("https://shop.example"), Some("true")));
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert_eq!(headers, "authorization, last-event-id");
        let other = shop.ask(&preflight("https://evil.example", path)).await;
        assert_ne!(other.status, 204, "{path}");
        assert_eq!(allowed(&other), (None, None));
    }
    // The page can read a refusal too.
    let refused = shop.ask(&get("/api/events").header("origin", "https://shop.example")).await;
    assert_eq!((refused.status, allowed(&refused).0), (401, Some("https://shop.example")));
    let request = get("/api/events?wait=0").header("origin", "https://shop.example").bearer(SECRET);
    let read = shop.ask(&request).await;
    assert_eq!(read.status, 200);
    let exposed = read.header("access-control-expose-headers").unwrap();
    for name in [
        "x-request-id",
        "x-ratelimit-remaining-requests",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "etag",
        "petstream-cursor",
    ] {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}");
    }
    assert_eq!(read.json()["reset"], json!(null));
}
