//! Pets, orders and the inventory over real sockets, and the event log that records every change.

mod bodies;
mod commands;
mod pets;
mod reading;

use petstream::store::Store;
use petstream::store::event_log::{EventLog, LoggedEvent};
use petstream::wire::event::{EventKind, Topics};
use serde_json::{Value, json};

use crate::server::Server;
use test_support::http::{Request, Whole};

const OPEN: &str = "auth: none\n";
const JSON: &str = "application/json";

/// A server and its event log, which the test reads from the database.
struct Shop {
    server: Server,
    log: EventLog,
}

impl Shop {
    async fn open() -> Self {
        let server = Server::start_on_disk(OPEN).await;
        let log = EventLog::new(Store::open(&server.database()).await.unwrap());
        Self { server, log }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Whole {
        let request = Request::new(method, path).header("content-type", JSON).body(body.to_string());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        self.server.ask(&request).await
    }

    async fn get(&self, path: &str) -> Whole {
        self.server.ask(&Request::new("GET", path)).await
    }

    /// Creates a pet.
    async fn pet(&self) -> Value {
        created(&self.send("POST", "/api/pets", &[], &wanda()).await)
    }

    /// Creates an order of a new pet.
    async fn order(&self) -> Value {
        let pet = self.pet().await;
        created(&self.send("POST", "/api/orders", &[], &json!({"petId": pet["id"]})).await)
    }

    async fn head(&self) -> u64 {
        self.log.position().await.unwrap().head
    }

    async fn told(&self, after: u64) -> Vec<LoggedEvent> {
        self.log.page(Topics::ALL, after, u64::MAX >> 1, 1_000).await.unwrap()
    }
}

fn wanda() -> Value {
    json!({"species": "FISH", "name": "Wanda", "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
        "color": "silver", "price": "0.10"})
}

fn pet_path(pet: &Value) -> String {
    format!("/api/pets/{}", pet["id"].as_str().unwrap())
}

fn order_path(order: &Value) -> String {
    format!("/api/orders/{}", order["id"].as_str().unwrap())
}

#[track_caller]
fn ok(answer: &Whole) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn created(answer: &Whole) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// The problem details (RFC 9457) of an answer, which must have this status.
#[track_caller]
fn problem(answer: &Whole, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["type"]), (&json!(status), &json!("about:blank")));
    assert!(!problem["detail"].as_str().unwrap().is_empty() && problem["title"].is_string());
    problem
}

#[track_caller]
fn fields(answer: &Whole) -> Vec<String> {
    let problem = problem(answer, 400);
    let errors = problem["errors"].as_array().unwrap();
    let field = |error: &Value| {
        let field = error["field"].as_str().unwrap();
        assert_eq!(error["pointer"], format!("#/{field}"));
        assert!(problem["detail"].as_str().unwrap().contains(field));
        field.to_owned()
    };
    errors.iter().map(field).collect()
}

fn kinds(events: &[LoggedEvent]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

fn resource(event: &LoggedEvent) -> Value {
    serde_json::from_str::<Value>(&format!("{{{}}}", event.body)).unwrap()["resource"].clone()
}
