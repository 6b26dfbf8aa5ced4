//! Events as pages of JSON, with the cursors of streams.

use std::time::{Duration, Instant};

use petstream::store::event_log::NewEvent;
use petstream::wire::event::EventKind;
use serde_json::{Value, json};

use super::shop::{OPEN, Shop};
use test_support::event_stream::get;
use test_support::http::{Connection, Request};

/// Polls from `cursor` until a page is empty.
async fn pages(shop: &Shop, target: &str, mut cursor: String, limit: usize) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let page = shop.json(&format!("{target}&after={cursor}&wait=0&limit={limit}")).await;
        assert_eq!(page["reset"], Value::Null);
        cursor = page["cursor"].as_str().unwrap().to_owned();
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= limit);
        if events.is_empty() {
            return all;
        }
        all.extend(events.iter().cloned());
    }
}

#[tokio::test]
async fn streams_long_polls_and_polls_deliver_the_same_events() {
    let shop = Shop::open(OPEN).await;
    let since = shop.id(shop.head().await).await;
    for _ in 0..10 {
        let pet = shop.pet().await;
        shop.send("POST", "/api/orders", &json!({"petId": pet["id"]})).await;
    }
    for target in
        ["/api/events?topics=pets,orders", "/api/events?topics=inventory", "/api/events?topics=pets,inventory"]
    {
        let polled = pages(&shop, target, since.clone(), 7).await;
        assert!(polled.len() >= 10);
        assert_eq!(pages(&shop, target, since.clone(), 1_000).await, polled);
        let (_, mut stream) = shop.resume(target, &since).await;
        let streamed = stream.messages(polled.len()).await;
        let streamed: Vec<_> = streamed
            .iter()
            .map(|message| json!({"id": message.last_id, "event": message.event, "data": message.data}))
            .collect();
        assert_eq!(streamed, polled, "{target}");
        let long = shop.json(&format!("{target}&after={since}&wait=60&limit=1000")).await;
        assert_eq!(long["events"].as_array().unwrap(), &polled);
    }
}

#[tokio::test]
async fn a_poll_after_a_change_finds_it() {
    let shop = Shop::open(OPEN).await;
    for _ in 0..20 {
        let cursor = shop.json("/api/events?wait=0").await["cursor"].as_str().unwrap().to_owned();
        let pet = shop.pet().await;
        let page = shop.json(&format!("/api/events/pets?wait=0&after={cursor}")).await;
        assert_eq!(page["events"][0]["data"]["resource"], pet);
    }
}

#[tokio::test]
async fn a_long_poll_answers_with_the_first_event_or_with_nothing_after_its_wait() {
    let shop = Shop::open(OPEN).await;
    let cursor = shop.id(shop.head().await).await;
    let began = Instant::now();
    let empty = shop.json(&format!("/api/events?after={cursor}&wait=1")).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(empty, json!({"events": [], "cursor": cursor, "reset": null}));

    let mut connection = Connection::open(shop.address).await;
    connection.send(&get(&format!("/api/events/orders?after={cursor}&wait=60"))).await;
    // An event of another topic: the poll continues to wait.
    let pet = shop.pet().await;
    shop.send("POST", "/api/orders", &json!({"petId": pet["id"]})).await;
    let answer = connection.answer().await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "whatever it accepts");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let page = answer.whole().await.json();
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert_eq!(page["events"][0]["event"], "order-created");
    let missed = shop.json(&format!("/api/events/orders?wait=0&after={}", page["cursor"].as_str().unwrap())).await;
    assert_eq!(missed["events"], json!([]));
}

#[tokio::test]
async fn the_cursor_advances_past_events_of_other_topics() {
    let shop = Shop::open(OPEN).await;
    let cursor = shop.id(shop.head().await).await;
    shop.pet().await;
    let page = shop.json(&format!("/api/events/orders?after={cursor}&wait=0")).await;
    assert_eq!(page, json!({"events": [], "cursor": shop.id(shop.head().await).await, "reset": null}));
}

#[tokio::test]
async fn a_poll_with_an_unknown_cursor_is_reset() {
    let shop = Shop::open("auth: none\npublic_path: /shop/\n").await;
    let (head, head_id) = (shop.head().await, shop.id(shop.head().await).await);
    let epoch = head_id.split('.').next().unwrap();
    let page = shop.json("/api/events?after=zzz.1&wait=60").await;
    let reset =
        json!({"reason": "other-epoch", "epoch": epoch, "oldest": 1, "head": head, "snapshot": "/shop/api/pets"});
    assert_eq!(page, json!({"events": [], "cursor": head_id, "reset": reset}));
    let list = shop.json("/api/pets?limit=1").await;
    assert!(list["next"].as_str().unwrap().starts_with("/shop/api/pets?"), "{list}");
    let order = json!({"petId": shop.pet().await["id"]}).to_string();
    let order = Request::new("POST", "/api/orders").header("content-type", "application/json").body(order);
    let order = shop.ask(&order).await;
    assert!(order.header("location").unwrap().starts_with("/shop/api/orders/"), "{:?}", order.header("location"));
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes_too() {
    let shop = Shop::open(OPEN).await;
    let cursor = shop.id(shop.head().await).await;
    let resource = Some(json!({ "text": "x".repeat(100_000) }));
    let event = NewEvent { kind: EventKind::Notification, id: "x".into(), version: 1, resource, old: None, new: None };
    shop.log.append_alone(&vec![event; 30]).await.unwrap();
    let answer = shop.ask(&Request::new("GET", &format!("/api/events?after={cursor}&wait=0&limit=1000"))).await;
    assert!(answer.body.len() < 2 << 20, "{}", answer.body.len());
    let count = answer.json()["events"].as_array().unwrap().len();
    assert!((10..30).contains(&count), "{count}");
    assert_eq!(pages(&shop, "/api/events?topics=notifications", cursor, 1_000).await.len(), 30);
}

#[tokio::test]
async fn a_page_of_events_that_have_left_the_memory_is_bounded_in_bytes_too() {
    let shop = Shop::open(OPEN).await;
    let cursor = shop.id(shop.head().await).await;
    let resource = Some(json!({ "text": "x".repeat(2_000) }));
    let event = NewEvent { kind: EventKind::Notification, id: "x".into(), version: 1, resource, old: None, new: None };
    shop.log.append_alone(&vec![event; 5_000]).await.unwrap();
    let answer = shop.ask(&Request::new("GET", &format!("/api/events?after={cursor}&wait=0&limit=1000"))).await;
    let most = (1 << 20) + (32 << 10) + 4_000;
    assert!((1 << 20..most).contains(&answer.body.len()), "{}", answer.body.len());
    assert_eq!(pages(&shop, "/api/events?topics=notifications", cursor, 1_000).await.len(), 5_000);
}
