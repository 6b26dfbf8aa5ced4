//! Tickets and sessions of browsers.

use futures_util::future::join_all;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, query, query_scalar};

use crate::server::Server;
use test_support::http::{Connection, Request};

/// Five keys, in YAML.
const KEYS: &str = "keys: [{name: a, key: sk-a-0123456789}, {name: b, key: sk-b-0123456789}, \
                    {name: c, key: sk-c-0123456789}, {name: d, key: sk-d-0123456789}, \
                    {name: e, key: sk-e-0123456789}]\n";

fn key(name: &str) -> String {
    format!("sk-{name}-0123456789")
}

/// Requests tickets until one is refused. Returns their number, and status and `retry-after` of the refusal.
async fn tickets(server: &Server, name: &str) -> (u32, u16, Option<String>) {
    let request = Request::new("POST", "/api/events/tickets").bearer(&key(name));
    let mut connection = Connection::open(server.address).await;
    let mut issued = 0;
    loop {
        let answer = connection.ask(&request).await.whole().await;
        if answer.status != 200 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            return (issued, answer.status, answer.header("retry-after").map(str::to_owned));
        }
        issued += 1;
        assert!(issued <= 10_000, "there is no end");
    }
}

#[tokio::test]
async fn unused_tickets_are_bounded_for_each_key_and_in_total() {
    // Those of servers that share a database: `tests/replicas`.
    let server = Server::start_on_sqlite(KEYS).await;
    let after = Some("5".to_owned());
    for (issued, status, retry_after) in join_all(["a", "b", "c", "d"].map(|name| tickets(&server, name))).await {
        // More, if the first have expired meanwhile.
        assert!(issued >= 2_500, "{issued}");
        assert_eq!((status, &retry_after), (429, &after));
    }
    let (_, status, retry_after) = tickets(&server, "e").await;
    assert_eq!((status, retry_after), (503, after));
    server.stop().await;
}

/// Signs in; returns the cookie.
async fn sign_in(server: &Server, name: &str) -> String {
    let answer = server.ask(&Request::new("POST", "/api/events/sessions").bearer(&key(name))).await;
    assert_eq!(answer.status, 204);
    answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned()
}

async fn status(server: &Server, cookie: &str) -> u16 {
    server.ask(&Request::new("GET", "/api/events?wait=0").header("cookie", cookie)).await.status
}

/// Adds sessions that end when the newest one does.
async fn add(database: &mut SqliteConnection, owner: &str, count: i64) {
    let sql = "INSERT INTO event_sessions (hash, key, owner, ends_at) \
               WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1) \
               SELECT ?2 || '-' || n, 'sealed', ?2, (SELECT max(ends_at) FROM event_sessions) FROM numbers";
    query(sql).bind(count).bind(owner).execute(database).await.unwrap();
}

async fn count(database: &mut SqliteConnection) -> i64 {
    query_scalar("SELECT count(*) FROM event_sessions").fetch_one(database).await.unwrap()
}

#[tokio::test]
async fn one_session_more_ends_the_oldest_of_its_key_or_of_all() {
    let server = Server::start_on_sqlite(KEYS).await;
    let mut database = SqliteConnection::connect(&server.database()).await.unwrap();
    let first = sign_in(&server, "a").await;
    let owner: String = query_scalar("SELECT owner FROM event_sessions").fetch_one(&mut database).await.unwrap();
    add(&mut database, &owner, 20_000 - 1).await;
    assert_eq!(status(&server, &first).await, 200);
    let last = sign_in(&server, "a").await;
    assert_eq!((status(&server, &first).await, status(&server, &last).await), (401, 200));
    assert_eq!(count(&mut database).await, 20_000);
    let ticket = server.ask(&Request::new("POST", "/api/events/tickets").bearer(&key("a"))).await;
    assert_eq!(ticket.status, 200, "its page begins another session with a ticket");

    // Each of these owners has its whole share.
    for owner in ["w", "x", "y", "z"] {
        add(&mut database, owner, 20_000).await;
    }
    let other = sign_in(&server, "b").await;
    assert_eq!((count(&mut database).await, status(&server, &other).await), (100_000, 200));
    let of_a: i64 = query_scalar("SELECT count(*) FROM event_sessions WHERE owner = ?")
        .bind(owner)
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(of_a, 20_000 - 1, "the oldest of all was one of the first key");
    database.close().await.unwrap();
    server.stop().await;
}
