//! The contents of a stream: event names, members, order, ids.

use sqlx::Connection as _;
use std::time::Duration;

use petstream::store::event_log::NewEvent;
use petstream::wire::event::EventKind;
use serde_json::{Value, json};

use super::shop::{OPEN, Shop};
use test_support::event_stream::{Message, Seen};
use test_support::http::Request;

fn names(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.event.as_str()).collect()
}

fn members(message: &Message) -> Vec<&str> {
    message.data.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_fresh_stream_begins_with_retry_and_connected_and_its_id_is_the_head() {
    let shop = Shop::open(OPEN).await;
    shop.pet().await;
    let head = shop.head().await;
    let (greeting, mut stream) = shop.stream("/api/events").await;
    assert_eq!(greeting.retry, Duration::from_secs(3));
    assert_eq!(members(&greeting.connected), ["status", "resumed", "epoch", "head"]);
    assert_eq!(greeting.connected.data["resumed"], false);
    assert!(greeting.connected.has_id);
    // The commit notification may not have been handled yet: then the stream begins a little earlier.
    assert!(greeting.connected.seq() <= head);
    assert_eq!(greeting.connected.data["head"], greeting.connected.seq());
    let epoch = greeting.connected.data["epoch"].as_str().unwrap();
    assert_eq!(greeting.connected.last_id, format!("{epoch}.{}", greeting.connected.seq()));
    let pet = shop.pet().await;
    let arrival = loop {
        let message = stream.message().await;
        if message.data["id"] == pet["id"] {
            break message;
        }
    };
    assert_eq!(arrival.event, "pet-update");
    assert!(arrival.has_id && arrival.seq() > greeting.connected.seq());
}

#[tokio::test]
async fn every_change_is_one_event_per_topic_with_the_representation_of_its_get() {
    let shop = Shop::open(OPEN).await;
    let since = shop.id(shop.head().await).await;
    let pet = shop.pet().await;
    let renamed = shop.patch("/api/pets", &pet, json!({"color": "gold"})).await;
    let order = shop.send("POST", "/api/orders", &json!({"petId": pet["id"]})).await;
    shop.patch("/api/orders", &order, json!({"status": "CANCELLED"})).await;
    let available = shop.json(&format!("/api/pets/{}", pet["id"].as_str().unwrap())).await;
    let head = shop.head().await;

    let (_, mut stream) = shop.resume("/api/events?topics=pets,orders", &since).await;
    let all = stream.messages(6).await;
    let expected = ["pet-update", "pet-update", "pet-status-changed", "order-created", "pet-status-changed"];
    let mut seen = names(&all);
    seen.sort_unstable();
    let mut expected = [expected.as_slice(), &["order-status-changed"]].concat();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    assert!(all.last().unwrap().seq() <= head);

    let whole = ["type", "id", "version", "prev", "time", "resource"];
    let moved = ["type", "id", "version", "prev", "time", "resource", "old", "new"];
    for message in &all {
        let status = message.event.ends_with("status-changed");
        assert_eq!(members(message), if status { moved.as_slice() } else { &whole }, "{message:?}");
        assert_eq!(message.data["type"], message.event.as_str());
        assert_eq!(message.data["version"], message.data["resource"]["version"]);
        let time: jiff::Timestamp = message.data["time"].as_str().unwrap().parse().unwrap();
        assert!(time <= jiff::Timestamp::now());
    }
    let of = |name: &str| all.iter().filter(|message| message.event == name).collect::<Vec<_>>();
    assert_eq!(of("pet-update")[0].data["resource"], pet);
    assert_eq!(of("pet-update")[1].data["resource"], renamed);
    let statuses = of("pet-status-changed");
    assert_eq!((&statuses[0].data["old"], &statuses[0].data["new"]), (&json!("AVAILABLE"), &json!("PENDING")));
    assert_eq!(statuses[1].data["resource"], available);
    assert_eq!(of("order-created")[0].data["resource"], order);
    assert_eq!(of("order-status-changed")[0].data["new"], "CANCELLED");
}

#[tokio::test]
async fn a_deleted_pet_is_an_update_with_a_null_resource() {
    let shop = Shop::open(OPEN).await;
    let since = shop.id(shop.head().await).await;
    let pet = shop.pet().await;
    let gone = shop.ask(&Request::new("DELETE", &format!("/api/pets/{}", pet["id"].as_str().unwrap()))).await;
    assert_eq!(gone.status, 204);
    let (_, mut stream) = shop.resume("/api/events/pets", &since).await;
    let all = stream.messages(2).await;
    assert_eq!((all[1].event.as_str(), &all[1].data["resource"]), ("pet-update", &Value::Null));
    assert_eq!(all[1].data["version"].as_u64(), Some(pet["version"].as_u64().unwrap() + 1));
    assert_eq!(all[1].prev(), all[0].seq());
}

#[tokio::test]
async fn each_topic_has_its_endpoint_and_all_have_one() {
    let shop = Shop::open(OPEN).await;
    let since = shop.id(shop.head().await).await;
    let pet = shop.pet().await;
    shop.send("POST", "/api/orders", &json!({"petId": pet["id"]})).await;
    let all = shop.told(petstream::wire::event::Topics::ALL, test_support::event_stream::seq(&since)).await;
    for (path, topics) in [
        ("/api/events/pets", vec!["pets"]),
        ("/api/events/orders", vec!["orders"]),
        ("/api/events/inventory", vec!["inventory"]),
        ("/api/events?topics=orders,inventory", vec!["orders", "inventory"]),
        ("/api/events?topics=orders&topics=pets", vec!["orders", "pets"]),
        ("/api/events", vec!["pets", "orders", "inventory", "notifications"]),
        ("/api/events/data", vec!["pets", "orders", "inventory", "notifications"]),
    ] {
        let expected: Vec<u64> =
            all.iter().filter(|event| topics.contains(&event.kind.topic().name())).map(|event| event.seq).collect();
        assert!(!expected.is_empty(), "{path}");
        let (_, mut stream) = shop.resume(path, &since).await;
        let seen = stream.messages(expected.len()).await;
        assert_eq!(seen.iter().map(Message::seq).collect::<Vec<_>>(), expected, "{path}");
    }
}

#[tokio::test]
async fn without_names_events_are_messages_and_the_streams_own_stay_named() {
    let shop = Shop::open("auth: none\nevents: {heartbeat: 1s}\n").await;
    let since = shop.id(shop.head().await).await;
    shop.pet().await;
    let (_, mut stream) = shop.resume("/api/events/pets?named=false", &since).await;
    let message = stream.message().await;
    assert_eq!((message.event.as_str(), &message.data["type"]), ("message", &json!("pet-update")));
    assert!(message.has_id);
    let heartbeat = loop {
        if let Seen::Message(message) = stream.next().await {
            break message;
        }
    };
    assert_eq!(heartbeat.event, "heartbeat");
}

#[tokio::test]
async fn invalid_requests_are_refused_before_a_stream_begins() {
    let shop = Shop::open(OPEN).await;
    for (target, status) in [
        ("/api/events?topics=pets,cats", 400),
        ("/api/events?topics=", 400),
        ("/api/events/pets?topics=orders", 400),
        ("/api/events?named=perhaps", 400),
        ("/api/events?wait=61", 400),
        ("/api/events?since=1", 400),
        ("/api/events/cats", 404),
        ("/api/events/pets/1", 404),
    ] {
        let answer = shop.ask(&test_support::event_stream::get(target)).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{target}");
    }
    let answer = shop.ask(&Request::new("POST", "/api/events").header("content-length", "0")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD")));
}

#[tokio::test]
async fn a_quiet_stream_shows_signs_of_life_and_its_id_moves_on() {
    let shop = Shop::open("auth: none\nevents: {heartbeat: 1s}\n").await;
    let (greeting, mut stream) = shop.stream("/api/events/orders").await;
    shop.pet().await;
    let head = shop.head().await;
    assert!(head > greeting.connected.seq());
    let mut comments = 0;
    // It may take two heartbeats: the first may precede the pet event.
    let id = loop {
        match stream.next().await {
            Seen::Comment(_) => comments += 1,
            Seen::Id(id) if test_support::event_stream::seq(&id) == head => break id,
            Seen::Id(_) => {}
            Seen::Message(message) => {
                assert_eq!((message.event.as_str(), message.has_id), ("heartbeat", false));
                assert!(message.data["time"].is_string());
            }
            Seen::Retry(_) => panic!("only at the beginning and at the end"),
        }
    };
    assert_eq!(id, shop.id(head).await);
    let Seen::Comment(_) = stream.next().await else { panic!("a comment") };
    let Seen::Message(heartbeat) = stream.next().await else { panic!("a heartbeat") };
    assert_eq!((heartbeat.event.as_str(), heartbeat.last_id), ("heartbeat", id));
    assert!(comments <= 2);
    // No event since: the next heartbeat has no id.
    let Seen::Comment(_) = stream.next().await else { panic!("a comment") };
}

#[tokio::test]
async fn text_of_users_begins_no_field() {
    let shop = Shop::open_on_sqlite(OPEN).await;
    let since = shop.id(shop.head().await).await;
    let nasty = "a\nid: x.1\r\nevent: error\rdata: {}\n\nretry: 0\n\n\u{feff}\u{2028}";
    let pet = shop.pet_described(nasty).await;
    assert_eq!(pet["description"], nasty);
    // As a restored or hand-written row may hold it: JSON over several lines, with each kind of line end.
    let event = |text: &str| NewEvent {
        kind: EventKind::Notification,
        id: text.to_owned(),
        version: 1,
        resource: Some(json!({ "text": text })),
        old: None,
        new: None,
    };
    shop.log.append_alone(&[event(nasty)]).await.unwrap();
    let mut database = sqlx::SqliteConnection::connect(&shop.database()).await.unwrap();
    sqlx::query(
        "UPDATE events SET body = replace(body, '\"resource\":{', char(10) || '\"resource\":' || char(13, 10) || '{' || \
         char(13)) WHERE seq > ?",
    )
    .bind(i64::try_from(test_support::event_stream::seq(&since)).unwrap())
    .execute(&mut database)
    .await
    .unwrap();
    let shop = shop.restart().await;
    let (_, mut stream) = shop.resume("/api/events?topics=pets,notifications", &since).await;
    let all = stream.messages(2).await;
    assert_eq!(all[0].data["resource"]["description"], nasty);
    assert_eq!((&all[1].data["id"], &all[1].data["resource"]["text"]), (&json!(nasty), &json!(nasty)));
}
