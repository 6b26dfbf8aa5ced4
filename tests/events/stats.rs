//! The topic `stats`: for subscribers with the scope only, and not part of the event log.

use petstream::wire::event::Topics;
use serde_json::json;

use super::shop::{OPEN, Shop};
use test_support::event_stream::{Message, Seen, Stream, get};
use test_support::http::{Request, Whole};
use test_support::soon;

const KEYS: &str = "\
keys:
  - {name: page, key: sk-page-0123456789, scopes: ['store:read', stats]}
  - {name: shop, key: sk-shop-0123456789}
";
const PAGE: &str = "sk-page-0123456789";

/// The next event other than `connected` and heartbeats.
async fn stats(stream: &mut Stream) -> Message {
    loop {
        let message = stream.message().await;
        if message.event == "stats" {
            return message;
        }
    }
}

/// The refusal of a request: a stream would not end.
async fn refused(shop: &Shop, request: Request) -> Whole {
    soon("a refusal", shop.ask(&request)).await
}

fn ask(question: &str) -> Request {
    let body = json!({"model": "petstore-ai", "messages": [{"role": "user", "content": question}]});
    Request::new("POST", "/v1/chat/completions").header("content-type", "application/json").body(body.to_string())
}

#[tokio::test]
async fn statistics_arrive_every_second_without_an_id_between_events() {
    let shop = Shop::open_alone(OPEN).await;
    let (greeting, mut stream) = shop.stream("/api/events?topics=pets,stats").await;
    let first = stats(&mut stream).await;
    assert!(!first.has_id && first.last_id == greeting.connected.last_id);
    let mut names: Vec<_> = first.data.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let all = "configuration limits liveReplicas recent replica sample subscribers type upstreams";
    assert_eq!(names, all.split(' ').collect::<Vec<_>>());
    assert_eq!((&first.data["type"], &first.data["subscribers"]), (&json!("stats"), &json!(1)));
    let pet = shop.pet().await;
    let told = stream.message().await;
    let told = if told.event == "stats" { stream.message().await } else { told };
    assert_eq!((told.event.as_str(), &told.data["id"]), ("pet-update", &pet["id"]));
    let second = stats(&mut stream).await;
    assert!(!second.has_id && second.last_id == told.last_id, "its block has no id, so the browser keeps the last one");
    let apart = second.data["sample"]["t"].as_i64().unwrap() - first.data["sample"]["t"].as_i64().unwrap();
    assert!(apart >= 900, "{apart} ms");
    // The `prev` of a pet event is a pet event, not a statistic between them.
    shop.pet().await;
    let next = loop {
        let message = stream.message().await;
        if message.event != "stats" {
            break message;
        }
    };
    assert_eq!(next.prev(), told.seq());
}

#[tokio::test]
async fn statistics_are_not_logged_replayed_or_sent_to_other_streams() {
    let shop = Shop::open_alone(OPEN).await;
    let (greeting, mut stream) = shop.stream("/api/events/stats").await;
    let (_, mut other) = shop.stream("/api/events").await;
    let mut told = vec![stats(&mut stream).await, stats(&mut stream).await];
    shop.pet().await;
    let from = greeting.connected.last_id;
    let (again, mut resumed) = shop.resume("/api/events?topics=stats&named=false", &from).await;
    assert_eq!((&again.connected.data["resumed"], again.connected.last_id.as_str()), (&json!(true), from.as_str()));
    let message = resumed.message().await;
    assert_eq!((message.event.as_str(), &message.data["type"]), ("message", &json!("stats")));
    told.push(message);
    let times: Vec<_> = told.iter().map(|message| message.data["sample"]["t"].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    // The other stream gets the pet event first; and the log has nothing else.
    let first = other.message().await;
    assert_eq!(first.event, "pet-update");
    let kinds = shop.told(Topics::ALL, 0).await;
    assert!(kinds.iter().all(|event| event.kind.name() != "stats"));
    let page = shop.json(&format!("/api/events?after={from}&wait=0")).await;
    assert!(page["events"].as_array().unwrap().iter().all(|event| event["event"] != "stats"), "{page}");
}

#[tokio::test]
async fn an_ended_request_is_reported_once() {
    let shop = Shop::open_alone(OPEN).await;
    let (_, mut stream) = shop.stream("/api/events?topics=stats").await;
    stats(&mut stream).await;
    let answer = shop.ask(&ask("List dogs")).await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    let mut told = Vec::new();
    soon("the request to be told", async {
        while told.is_empty() {
            told.extend(stats(&mut stream).await.data["recent"].as_array().unwrap().iter().cloned());
        }
    })
    .await;
    told.extend(stats(&mut stream).await.data["recent"].as_array().unwrap().iter().cloned());
    let told: Vec<_> = told.iter().map(|recent| recent["id"].as_str().unwrap()).collect();
    assert_eq!(told, [id.as_str()]);
    let whole = shop.json("/api/stats").await;
    assert_eq!(
        whole["recent"].as_array().unwrap().iter().map(|recent| &recent["id"]).collect::<Vec<_>>(),
        [&json!(id)]
    );
}

#[tokio::test]
async fn a_subscriber_that_catches_up_receives_ephemeral_events() {
    let shop = Shop::open_alone(OPEN).await;
    for _ in 0..3 {
        shop.pet().await;
    }
    let (_, mut stream) = shop.resume("/api/events?topics=pets,stats", "earliest").await;
    let (mut pets, mut ticks) = (0, 0);
    while pets < 3 || ticks < 1 {
        match stream.next().await {
            Seen::Message(message) if message.event == "stats" => ticks += 1,
            Seen::Message(message) if message.event == "pet-update" => pets += 1,
            _ => {}
        }
    }
}

#[tokio::test]
async fn only_keys_with_the_scope_receive_statistics() {
    let shop = Shop::open_alone(KEYS).await;
    for target in ["/api/events?topics=pets,stats", "/api/events/stats"] {
        let refused = refused(&shop, get(target).bearer("sk-shop-0123456789")).await;
        assert_eq!((refused.status, refused.header("content-type")), (403, Some("application/problem+json")));
        let (_, mut stream) = Stream::greeted(shop.address, get(target).bearer(PAGE)).await;
        stats(&mut stream).await;
    }
    // As a browser authenticates.
    let with_ticket = async |key: &str| {
        let answer = shop.ask(&Request::new("POST", "/api/events/tickets").bearer(key)).await.json();
        get(&format!("/api/events?topics=stats&ticket={}", answer["ticket"].as_str().unwrap()))
    };
    assert_eq!(refused(&shop, with_ticket("sk-shop-0123456789").await).await.status, 403);
    let (_, mut stream) = Stream::greeted(shop.address, with_ticket(PAGE).await).await;
    stats(&mut stream).await;
}

#[tokio::test]
async fn public_reads_do_not_include_statistics() {
    let shop = Shop::open_alone("petstore: {public_reads: true}\n").await;
    shop.stream("/api/events").await;
    assert_eq!(refused(&shop, get("/api/events?topics=pets,stats")).await.status, 403);
    assert_eq!(shop.get("/api/stats").await.status, 401);
}

#[tokio::test]
async fn pages_of_events_contain_no_statistics() {
    let shop = Shop::open_alone(OPEN).await;
    for target in
        ["/api/events?topics=pets,stats&wait=0", "/api/events?topics=stats&after=e.1", "/api/events/stats?wait=0"]
    {
        let refused = refused(&shop, get(target)).await;
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (400, Some("application/problem+json")),
            "{target}"
        );
        let problem = refused.json();
        assert_eq!(problem["errors"][0]["field"], "topics");
        assert!(problem["detail"].as_str().unwrap().contains("GET /api/stats"), "{problem}");
    }
}
