//! More subscribers than the limit: an `EventSource` must be able to reconnect by itself.

use std::time::Duration;

use super::shop::Shop;
use test_support::event_stream::{Ending, Seen, Stream, get};
use test_support::http::Request;

/// A stream with `retry` only.
async fn sent_away(shop: &Shop, request: Request) -> Duration {
    let mut stream = Stream::open(shop.address, request).await;
    let (seen, ending) = stream.rest().await;
    let [Seen::Retry(wait)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(ending, Ending::Whole);
    *wait
}

#[tokio::test]
async fn a_subscriber_over_the_limit_gets_a_stream_with_retry_only() {
    let shop = Shop::open_alone("auth: none\nevents: {subscribers: 1}\n").await;
    let (_, stream) = shop.stream("/api/events").await;
    let waits = [sent_away(&shop, get("/api/events")).await, sent_away(&shop, get("/api/events/pets")).await];
    for wait in waits {
        assert!(wait >= Duration::from_secs(30) && wait <= Duration::from_secs(60), "{wait:?}");
    }
    assert_ne!(waits[0], waits[1], "not all at the same moment");
    for target in ["/api/events", "/api/events?wait=0"] {
        let accept = if target == "/api/events" { "*/*" } else { "text/event-stream" };
        let refused = shop.ask(&Request::new("GET", target).header("accept", accept)).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")), "{target}");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    // Its place is free when it has disconnected.
    drop(stream);
    let mut attempts = 0;
    while shop.get("/api/events?wait=0").await.status != 200 {
        attempts += 1;
        assert!(attempts < 1_000);
        tokio::task::yield_now().await;
    }
}

/// An `EventSource` reconnects to the same URL, whose ticket is used up.
#[tokio::test]
async fn a_ticket_of_a_refused_stream_still_sets_the_cookie() {
    let key = "key-0123456789abcdef";
    let shop = Shop::open_alone(&format!("keys: [{{name: k, key: {key}}}]\nevents: {{subscribers: 1}}\n")).await;
    let (_, stream) = Stream::greeted(shop.address, get("/api/events").bearer(key)).await;
    let ticket = shop.ask(&Request::new("POST", "/api/events/tickets").bearer(key)).await.json();
    let target = format!("/api/events?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut away = Stream::open(shop.address, get(&target)).await;
    assert!(matches!(away.rest().await.0.as_slice(), [Seen::Retry(_)]));
    let cookie = away.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
    drop(stream);
    let back = get(&format!("{target}&wait=0")).header("cookie", &cookie);
    test_support::soon("a place", async { while shop.ask(&back).await.status != 200 {} }).await;
}

#[tokio::test]
async fn an_event_stream_over_the_rate_limit_gets_retry_only() {
    let shop =
        Shop::open_alone("keys: [{name: k, key: key-0123456789abcdef, limits: {requests_per_minute: 1}}]\n").await;
    let key = "key-0123456789abcdef";
    let _first = Stream::open(shop.address, get("/api/events").bearer(key)).await;
    assert!(sent_away(&shop, get("/api/events").bearer(key)).await >= Duration::from_secs(1));
    let refused = shop.ask(&Request::new("GET", "/api/events").bearer(key)).await;
    assert_eq!(refused.status, 429);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed() {
    let shop = Shop::open_alone("auth: none\nlimits: {write_idle: 500ms}\nevents: {subscribers: 1}\n").await;
    let since = shop.id(shop.head().await).await;
    let resource = Some(serde_json::json!({ "text": "x".repeat(100_000) }));
    let event = petstream::store::event_log::NewEvent {
        kind: petstream::wire::event::EventKind::Notification,
        id: "x".into(),
        version: 1,
        resource,
        old: None,
        new: None,
    };
    for _ in 0..4 {
        shop.log.append_alone(&vec![event.clone(); 50]).await.unwrap();
    }
    let mut silent = test_support::http::Connection::open_narrow(shop.address, 4_096).await;
    silent.send(&get(&format!("/api/events?last_event_id={since}"))).await;
    // Its place becomes free, although it is still connected.
    let mut taken = false;
    test_support::soon("the silent reader to be closed", async {
        loop {
            let free = shop.get("/api/events?wait=0").await.status == 200;
            if taken && free {
                return;
            }
            taken |= !free;
        }
    })
    .await;
}

/// Two keys, and the limit of both.
async fn shared(events: &str) -> Shop {
    let keys = format!("keys: [{{name: one, key: {ONE}}}, {{name: other, key: {OTHER}}}]");
    Shop::open_alone(&format!("{keys}\nevents: {{{events}}}\n")).await
}

const ONE: &str = "sk-one-0123456789";
const OTHER: &str = "sk-other-0123456789";

#[tokio::test]
async fn one_key_cannot_use_up_the_subscriptions_of_another() {
    let shop = shared("subscribers: 8, subscribers_per_key: 3").await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(Stream::greeted(shop.address, get("/api/events").bearer(ONE)).await.1);
    }
    // A long poll counts as a subscriber.
    let cursor = shop.ask(&Request::new("GET", "/api/events?wait=0").bearer(OTHER)).await.json();
    let target = format!("/api/events?wait=25&after={}", cursor["cursor"].as_str().unwrap());
    let poll = {
        let (address, request) = (shop.address, Request::new("GET", &target).bearer(ONE));
        tokio::spawn(async move { test_support::http::ask(address, &request).await })
    };
    let refused = async {
        loop {
            let answer = shop.ask(&Request::new("GET", "/api/events?wait=0").bearer(ONE)).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let refused = test_support::soon("the share to be used up", refused).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("30")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail, "Your API key has 3 subscribers, as many as one key may have; try again.");
    assert!(sent_away(&shop, get("/api/events").bearer(ONE)).await >= Duration::from_secs(30), "as a browser hears it");
    let other = Stream::greeted(shop.address, get("/api/events").bearer(OTHER)).await;
    assert_eq!(shop.ask(&Request::new("GET", "/api/events?wait=0").bearer(OTHER)).await.status, 200);
    poll.abort();
    drop((streams, other));
    let back = async { while shop.ask(&Request::new("GET", "/api/events?wait=0").bearer(ONE)).await.status != 200 {} };
    test_support::soon("a place", back).await;
}

#[tokio::test]
async fn one_key_cannot_use_up_the_tickets_of_another() {
    let shop = shared("").await;
    let ticket = |key: &str| Request::new("POST", "/api/events/tickets").bearer(key);
    let mut connection = test_support::http::Connection::open(shop.address).await;
    let mut issued = 0;
    let refused = loop {
        let answer = connection.ask(&ticket(ONE)).await.whole().await;
        if answer.status != 200 {
            break answer;
        }
        issued += 1;
        assert!(issued <= 10_000, "there is no end");
    };
    // Or a few more, if the first have ended meanwhile.
    assert!(issued >= 2_500, "{issued}");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(shop.ask(&ticket(OTHER)).await.status, 200);
}
