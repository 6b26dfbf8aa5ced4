//! Changes of the store, and subscribers: streams with a key, streams with a ticket, and long polls.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::fixture::SHOP;
use test_support::event_stream::{Message, Stream, get};
use test_support::http::{Connection, Request, Whole, ask};
use test_support::random::Random;

/// Pets that each writer creates, edits and deletes per round.
const PETS: usize = 15;
/// Subscribers per round that disconnect after a few bytes.
const LEAVERS: usize = 20;
const TARGET: &str = "/api/events?topics=pets";

/// The descriptions of created and edited pets that a subscriber received, in order.
type Told = Vec<String>;

/// One round; returns the number of deliveries and the violations.
pub(crate) async fn trade(server: SocketAddr, round: usize, mut random: Random) -> (usize, Vec<String>) {
    let end = format!("end-{round}");
    let ticket = send(server, "POST", "/api/events/tickets", None).await.json()["ticket"].as_str().unwrap().to_owned();
    let streams = [
        Stream::greeted(server, get(TARGET).bearer(SHOP)).await.1,
        Stream::greeted(server, get(&format!("{TARGET}&ticket={ticket}"))).await.1,
    ];
    let page = send(server, "GET", &format!("{TARGET}&wait=0"), None).await.json();
    let cursor = page["cursor"].as_str().unwrap().to_owned();
    let (one, two, who) = (random.any(), random.any(), random.any());
    let writing = async {
        let names = [format!("a-{round}"), format!("b-{round}")];
        let (one, two) =
            tokio::join!(write(server, &names[0], Random::new(one)), write(server, &names[1], Random::new(two)),);
        let last = create(server, &end).await;
        delete(server, &last).await;
        [one, two].concat()
    };
    let [by_key, by_ticket] = streams;
    let (written, by_key, by_ticket, polled, ()) = tokio::join!(
        writing,
        listen(by_key, &end),
        listen(by_ticket, &end),
        poll(server, cursor, &end),
        leave(server, Random::new(who)),
    );
    let mut found = Vec::new();
    let told = by_key.len() + by_ticket.len() + polled.len();
    for (who, told) in [("a stream with a key", &by_key), ("a stream with a ticket", &by_ticket), ("polls", &polled)] {
        found.extend(compare(who, &written, told));
    }
    (told, found)
}

/// Every write must have been delivered once, and nothing else.
fn compare(who: &str, written: &[String], told: &[String]) -> Vec<String> {
    let (mut written, mut told) = (written.to_vec(), told.to_vec());
    written.sort_unstable();
    told.sort_unstable();
    let missing = written.iter().filter(|tag| told.binary_search(tag).is_err());
    let mut found: Vec<_> = missing.map(|tag| format!("{who}: not told of {tag}")).collect();
    if found.is_empty() && written != told {
        found.push(format!("{who}: told of {} changes, {} were made", told.len(), written.len()));
    }
    found
}

/// Creates, edits and deletes pets, and sometimes orders one; returns the descriptions.
async fn write(server: SocketAddr, name: &str, mut random: Random) -> Vec<String> {
    let mut written = Vec::new();
    for number in 0..PETS {
        let tags = ["made", "edited"].map(|what| format!("{name}-{number}-{what}"));
        let path = create(server, &tags[0]).await;
        let edit = json!({"description": tags[1]});
        assert_eq!(send(server, "PATCH", &path, Some(&edit)).await.status, 200);
        if random.percent(20) {
            order(server, &mut random).await;
        }
        delete(server, &path).await;
        written.extend(tags);
    }
    written
}

/// Orders an available pet, unless another client was faster, and cancels the order.
async fn order(server: SocketAddr, random: &mut Random) {
    let page = send(server, "GET", "/api/pets?status=AVAILABLE&limit=100", None).await.json();
    // Pets of writers may be deleted meanwhile.
    let seeded = |pet: &&Value| pet["name"] != "Soak";
    let pets: Vec<&Value> = page["data"].as_array().unwrap().iter().filter(seeded).collect();
    let pet = random.one(&pets);
    let placed = send(server, "POST", "/api/orders", Some(&json!({"petId": pet["id"]}))).await;
    if placed.status == 409 {
        return;
    }
    assert_eq!(placed.status, 201, "{}", placed.text());
    let path = format!("/api/orders/{}", placed.json()["id"].as_str().unwrap());
    let cancelled = send(server, "PATCH", &path, Some(&json!({"status": "CANCELLED"}))).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
}

async fn create(server: SocketAddr, tag: &str) -> String {
    let pet = json!({"species": "OTHER", "name": "Soak", "breed": "Mixed", "ageMonths": 3, "size": "SMALL",
        "color": "silver", "price": "20.10", "description": tag});
    let made = send(server, "POST", "/api/pets", Some(&pet)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    format!("/api/pets/{}", made.json()["id"].as_str().unwrap())
}

async fn delete(server: SocketAddr, path: &str) {
    let gone = send(server, "DELETE", path, None).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
}

async fn send(server: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Whole {
    let request = Request::new(method, path).bearer(SHOP);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    ask(server, &request).await
}

/// The description in an event about a pet that a writer created or edited.
fn tag(data: &Value) -> Option<String> {
    let resource = &data["resource"];
    (resource["name"] == "Soak").then(|| resource["description"].as_str().unwrap().to_owned())
}

/// Records an event; returns whether it is the last.
fn learn(told: &mut Told, tag: Option<String>, end: &str) -> bool {
    let Some(tag) = tag else { return false };
    let is_end = tag == end;
    if !is_end {
        told.push(tag);
    }
    is_end
}

/// Reads a stream up to `end`. The `prev` of each event must be the event before it.
async fn listen(mut stream: Stream, end: &str) -> Told {
    let mut told = Told::new();
    let mut last: Option<Message> = None;
    loop {
        let message = stream.message().await;
        assert_ne!(message.event, "stream-reset", "{message:?}");
        if let Some(last) = &last {
            assert_eq!(message.prev(), last.seq(), "{last:?}, then {message:?}");
        }
        if learn(&mut told, tag(&message.data), end) {
            return told;
        }
        last = Some(message);
    }
}

/// As [`listen`], by long polls.
async fn poll(server: SocketAddr, mut cursor: String, end: &str) -> Told {
    let mut told = Told::new();
    loop {
        let page = send(server, "GET", &format!("{TARGET}&after={cursor}&wait=5&limit=100"), None).await.json();
        assert_eq!(page["reset"], Value::Null, "{page}");
        for event in page["events"].as_array().unwrap() {
            if learn(&mut told, tag(&event["data"]), end) {
                return told;
            }
        }
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
}

/// Subscribers that disconnect after a few pieces, with a close or a reset.
async fn leave(server: SocketAddr, mut random: Random) {
    for _ in 0..LEAVERS {
        let mut connection = Connection::open(server).await;
        let mut answer = connection.ask(&get("/api/events").bearer(SHOP)).await;
        assert_eq!(answer.status(), 200);
        // The greeting arrives at once, heartbeats each second.
        for _ in 0..random.below(3) {
            answer.piece().await;
        }
        if random.percent(50) {
            connection.reset();
        }
    }
}
