//! Tickets, cookies and keys on every server.

use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};

use crate::replicas::{Replicas, text};
use test_support::becomes;
use test_support::event_stream::{Stream, get};
use test_support::http::{Connection, Request};
use test_support::servers::postgres::Database;

const KEY: &str = "sk-petstream-test-0123456789";
const OTHER_KEY: &str = "sk-petstream-other-0123456789";
const KEYS: &str = "keys: [{name: page, key: sk-petstream-test-0123456789}, \
                    {name: other, key: sk-petstream-other-0123456789}]\n";
const COUNT: usize = 3;

async fn ticket(replicas: &Replicas, number: usize) -> String {
    let answer = replicas.ask(number, &Request::new("POST", "/api/events/tickets").bearer(KEY)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    format!("/api/events?topics=pets&ticket={}", text(&answer.json()["ticket"]))
}

/// The status of a stream on one server. The stream is closed.
async fn status(replicas: &Replicas, number: usize, request: &Request) -> u16 {
    let mut connection = Connection::open(replicas.program(number).address).await;
    connection.ask(request).await.status()
}

#[tokio::test]
async fn a_ticket_of_one_server_is_redeemed_once_on_another_and_its_cookie_is_valid_on_all() {
    let database = Database::create().await;
    let replicas = Replicas::start(COUNT, KEYS, &database.url).await;
    let target = ticket(&replicas, 0).await;
    let stream = Stream::open(replicas.program(1).address, get(&target)).await;
    let cookie = stream.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    drop(stream);
    for number in 0..COUNT {
        assert_eq!(status(&replicas, number, &get(&target)).await, 401, "the ticket is used up");
        let with_cookie = get("/api/events").header("cookie", &cookie);
        assert_eq!(status(&replicas, number, &with_cookie).await, 200);
    }
    let sign_out = Request::new("DELETE", "/api/events/sessions").header("cookie", &cookie);
    assert_eq!(replicas.ask(2, &sign_out).await.status, 204);
    for number in 0..COUNT {
        assert_eq!(status(&replicas, number, &get("/api/events").header("cookie", &cookie)).await, 401);
    }
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_servers_that_redeem_a_ticket_at_once_one_succeeds() {
    let database = Database::create().await;
    let replicas = Replicas::start(COUNT, KEYS, &database.url).await;
    for round in 0..20 {
        let request = get(&ticket(&replicas, round % COUNT).await);
        let mut answers = join_all((0..COUNT).map(|number| status(&replicas, number, &request))).await;
        answers.sort_unstable();
        assert_eq!(answers, [200, 401, 401]);
    }
    replicas.stop().await;
}

#[tokio::test]
async fn unused_tickets_are_bounded_over_all_servers() {
    let database = Database::create().await;
    let replicas = Replicas::start(2, KEYS, &database.url).await;
    ticket(&replicas, 0).await;
    let mut rows = PgConnection::connect(&database.url).await.unwrap();
    let request = |key: &str| Request::new("POST", "/api/events/tickets").bearer(key);
    let answers = async |key: &str| [replicas.ask(0, &request(key)).await, replicas.ask(1, &request(key)).await];
    let of_key = "INSERT INTO event_tickets SELECT md5(n::text), key, owner, ends_at \
                  FROM event_tickets, generate_series(3, 2500) n";
    sqlx::raw_sql(of_key).execute(&mut rows).await.unwrap();
    // One is left, for whichever server is first.
    assert_eq!(answers(KEY).await.map(|answer| answer.status), [200, 429]);
    let of_others = "INSERT INTO event_tickets SELECT md5(o || '-' || n), key, 'other-' || o, ends_at \
                     FROM (SELECT * FROM event_tickets LIMIT 1) one, generate_series(1, 3) o, generate_series(1, 2500) n";
    sqlx::raw_sql(of_others).execute(&mut rows).await.unwrap();
    for answer in answers(OTHER_KEY).await {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    }
    rows.close().await.unwrap();
    replicas.stop().await;
}

#[tokio::test]
async fn a_key_is_valid_and_revoked_on_all_servers() {
    let database = Database::create().await;
    let replicas = Replicas::start(COUNT, KEYS, &database.url).await;
    let secret = replicas.run(&["keys", "create", "--name", "alice"]).await.trim_end().to_owned();
    let pets = Request::new("GET", "/api/pets").bearer(&secret);
    let statuses = async || join_all((0..COUNT).map(async |number| replicas.ask(number, &pets).await.status)).await;
    becomes(&vec![200; COUNT], &statuses).await;
    replicas.run(&["keys", "revoke", "alice"]).await;
    becomes(&vec![401; COUNT], &statuses).await;
    replicas.stop().await;
}
