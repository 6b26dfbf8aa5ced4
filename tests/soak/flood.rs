//! Requests that must be refused, and clients that disconnect or stay silent within a request.

use std::net::SocketAddr;

use crate::fixture::{FLOOD, FLOOD_RATE, SHOP};
use crate::local::{self, Spoken};
use test_support::http::{Connection, Request, ask};
use test_support::random::Random;

/// Requests beyond the limit in each round.
const BEYOND: usize = 30;
/// Clients that disconnect within a request, per round.
const LEAVERS: usize = 20;

/// The result of a round.
#[derive(Debug, Default)]
pub(crate) struct Flooded {
    /// Questions that were answered or refused by a limit.
    pub(crate) spoken: Vec<Spoken>,
    /// The number of refused requests.
    pub(crate) refused: usize,
    pub(crate) objections: Vec<String>,
}

/// A flood over a limit, requests that must be refused, and clients that leave within one.
pub(crate) async fn flood(server: SocketAddr, mut random: Random) -> Flooded {
    let mut flooded = Flooded::default();
    // Silent until all other clients are done.
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(Connection::open(server).await);
    }
    for at in 0..FLOOD_RATE + BEYOND {
        let streamed = at % 2 == 0;
        flooded.spoken.push(local::ask(server, FLOOD, streamed, None).await);
    }
    flooded.refused = flooded.spoken.iter().filter(|spoken| spoken.is_limited()).count();
    if flooded.refused == 0 {
        flooded.objections.push("a flood was let through".to_owned());
    }
    for _ in 0..LEAVERS {
        leave(server, &mut random).await;
    }
    for (request, status) in wrong() {
        let answer = ask(server, &request).await;
        if answer.status == status {
            flooded.refused += 1;
        } else {
            flooded.objections.push(format!("{} instead of {status}: {}", answer.status, answer.text()));
        }
    }
    drop(silent);
    flooded
}

/// Disconnects anywhere within a request, with a close or a reset.
async fn leave(server: SocketAddr, random: &mut Random) {
    let body = format!(r#"{{"model":"{}","messages":[{}]}}"#, local::MODEL, " ".repeat(2000));
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {SHOP}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len(),
    );
    let whole = head + &body;
    let mut connection = Connection::open(server).await;
    connection.send_raw(&whole.as_bytes()[..random.below(whole.len())]).await;
    if random.percent(50) {
        connection.reset();
    }
}

/// Invalid requests, with the status of the refusal.
fn wrong() -> Vec<(Request, u16)> {
    let chat = |body: &str| {
        let request =
            Request::new("POST", "/v1/chat/completions").bearer(SHOP).header("content-type", "application/json");
        request.body(body)
    };
    let long = Request::new("GET", "/v1/models").bearer(SHOP).header("x-long", &"x".repeat(70 << 10));
    vec![
        (Request::new("GET", "/v1/models").bearer("sk-nobody-0123456789"), 401),
        (long, 431),
        (chat(&"x".repeat((1 << 20) + 1)), 413),
        (chat("{\"model\":"), 400),
        (chat(&format!("{{\"model\":\"{}\",\"messages\":{}", local::MODEL, "[".repeat(1000))), 400),
        (chat(r#"{"model":"nobody-has-it","messages":[{"role":"user","content":"hi"}]}"#), 404),
        (Request::new("GET", "/api/pets?limit=many").bearer(SHOP), 400),
        (Request::new("POST", "/api/events/tickets"), 401),
    ]
}
