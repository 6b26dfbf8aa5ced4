//! Pets, orders, answers to idempotency keys, and recent completions.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, query, query_scalar};

use crate::server::Server;
use test_support::http::{Request, Whole};

const KEYS: &str = "keys: [{name: a, key: sk-a-0123456789}, {name: b, key: sk-b-0123456789}, \
                    {name: c, key: sk-c-0123456789}]\n";
const A: &str = "sk-a-0123456789";
const B: &str = "sk-b-0123456789";
const C: &str = "sk-c-0123456789";

/// Sends JSON; the status must be one of success.
async fn send(server: &Server, key: &str, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::new(method, path).bearer(key).header("content-type", "application/json");
    let answer = server.ask(&request.body(body.to_string())).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    answer.json()
}

fn new_pet() -> Value {
    json!({"species": "FISH", "name": "Wanda", "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
        "color": "silver", "price": "0.10"})
}

async fn pet(server: &Server) -> Value {
    send(server, A, "POST", "/api/pets", &new_pet()).await["id"].take()
}

async fn order(server: &Server, key: &str, pet: &Value) -> String {
    let order = send(server, key, "POST", "/api/orders", &json!({ "petId": pet })).await;
    format!("/api/orders/{}", order["id"].as_str().unwrap())
}

/// Places and cancels so many orders; returns the path of the last one.
async fn cancelled(server: &Server, key: &str, pet: &Value, count: usize) -> String {
    let mut path = String::new();
    for _ in 0..count {
        path = order(server, key, pet).await;
        send(server, key, "PATCH", &path, &json!({"status": "CANCELLED"})).await;
    }
    path
}

async fn status(server: &Server, path: &str) -> u16 {
    server.ask(&Request::new("GET", path).bearer(A)).await.status
}

async fn number(database: &mut SqliteConnection, sql: &'static str) -> i64 {
    query_scalar(sql).fetch_one(database).await.unwrap()
}

#[tokio::test]
async fn the_oldest_closed_orders_of_a_key_and_of_all_are_deleted() {
    let server = Server::start_on_sqlite(&format!("{KEYS}petstore: {{orders: 200, orders_per_key: 100}}\n")).await;
    let mut database = SqliteConnection::connect(&server.database()).await.unwrap();
    let (pet_of_open, pet) = (pet(&server).await, pet(&server).await);
    let open = order(&server, A, &pet_of_open).await;
    let twice = json!({ "petId": pet_of_open }).to_string();
    let twice = Request::new("POST", "/api/orders").bearer(A).header("content-type", "application/json").body(twice);
    assert_eq!(server.ask(&twice).await.status, 409, "one open order for each pet");

    let oldest = cancelled(&server, A, &pet, 1).await;
    cancelled(&server, A, &pet, 197).await;
    assert_eq!(status(&server, &oldest).await, 200, "between two checks there may be 99 more");
    cancelled(&server, A, &pet, 1).await;
    assert_eq!(status(&server, &oldest).await, 404);
    assert_eq!(number(&mut database, "SELECT count(*) FROM orders").await, 100, "the share of the first key");

    cancelled(&server, B, &pet, 100).await;
    let last = cancelled(&server, C, &pet, 100).await;
    assert_eq!(number(&mut database, "SELECT count(*) FROM orders").await, 200, "the total");
    let left = "SELECT count(*) FROM orders WHERE made_by = (SELECT made_by FROM orders ORDER BY id LIMIT 1)";
    assert_eq!(number(&mut database, left).await, 1, "of the key with the oldest orders, the open one");
    assert_eq!((status(&server, &open).await, status(&server, &last).await), (200, 200));
    database.close().await.unwrap();
    server.stop().await;
}

/// Creates a pet with an idempotency key. Returns whether the answer was saved before.
async fn is_replayed(server: &Server, idempotency_key: &str) -> bool {
    let request = Request::new("POST", "/api/pets").bearer(A).header("idempotency-key", idempotency_key);
    let answer: Whole =
        server.ask(&request.header("content-type", "application/json").body(new_pet().to_string())).await;
    assert_eq!(answer.status, 201);
    answer.header("idempotency-replayed") == Some("true")
}

/// Saves answers until the next one has number `next`: to the only caller so far, or to ten others.
async fn save(database: &mut SqliteConnection, next: i64, to_others: bool) {
    let sql = "INSERT INTO idempotency_keys (number, caller, key, request, answer, at) \
               WITH RECURSIVE numbers(n) AS (SELECT max(number) + 1 FROM idempotency_keys \
               UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1 - 1) \
               SELECT n, iif(?2, n % 10, caller), 'saved-' || n, '', 'null', at FROM numbers, \
               (SELECT caller, at FROM idempotency_keys ORDER BY number DESC LIMIT 1)";
    query(sql).bind(next).bind(to_others).execute(database).await.unwrap();
}

#[tokio::test]
async fn the_oldest_answers_to_idempotency_keys_are_deleted() {
    let server = Server::start_on_sqlite(KEYS).await;
    let mut database = SqliteConnection::connect(&server.database()).await.unwrap();
    let count = "SELECT count(*) FROM idempotency_keys";
    assert_eq!([is_replayed(&server, "first").await, is_replayed(&server, "first").await], [false, true]);
    save(&mut database, 10_100, false).await;
    assert!(is_replayed(&server, "first").await, "between two checks there may be 99 more");
    assert!(!is_replayed(&server, "second").await);
    assert_eq!(number(&mut database, count).await, 10_000, "the share of the key");
    assert_eq!([is_replayed(&server, "second").await, is_replayed(&server, "first").await], [true, false]);

    save(&mut database, 102_000, true).await;
    assert!(number(&mut database, count).await > 100_000);
    assert!(!is_replayed(&server, "third").await);
    assert_eq!(number(&mut database, count).await, 100_000, "the total");
    assert!(is_replayed(&server, "third").await);
    database.close().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_page_has_at_most_100_pets_or_orders() {
    let server = Server::start(KEYS).await;
    for _ in 0..101 {
        let pet = pet(&server).await;
        order(&server, A, &pet).await;
    }
    for path in ["/api/pets", "/api/orders"] {
        let page = server.ask(&Request::new("GET", &format!("{path}?limit=100")).bearer(A)).await.json();
        assert_eq!(page["data"].as_array().unwrap().len(), 100, "{path}");
        assert!(page["next"].is_string(), "{path}");
        assert_eq!(status(&server, &format!("{path}?limit=101")).await, 400, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_last_100_completions_are_listed() {
    let server = Server::start_alone("auth: none\n").await;
    let mut ids = Vec::new();
    for _ in 0..105 {
        let mut body = test_support::frames::request(&json!({}));
        body["model"] = "petstore-ai".into();
        let answer = server.ask(&Request::chat(&body)).await;
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let stats = server.ask(&Request::new("GET", "/api/stats")).await.json();
    let mut listed: Vec<_> = stats["recent"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    if listed[0] == *ids.last().unwrap() {
        listed.reverse();
    }
    assert_eq!(listed, ids[5..]);
    server.stop().await;
}
