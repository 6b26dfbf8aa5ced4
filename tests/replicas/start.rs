//! Servers that start at once on an empty database.

use futures_util::future::select_all;
use serde_json::Value;

use crate::replicas::{OPEN, Replicas};
use test_support::http::Request;
use test_support::servers::postgres::Database;

const COUNT: usize = 3;
/// The beginning of keys.
const PREFIX: &str = "sk-petstream-";

/// The key in an output.
fn key_in(output: &str) -> Option<String> {
    let key = output.lines().map(str::trim).find(|line| line.starts_with(PREFIX));
    key.filter(|_| output.ends_with("\n\n")).map(str::to_owned)
}

async fn pets(replicas: &Replicas, number: usize, key: &str) -> (u16, Value) {
    let answer = replicas.ask(number, &Request::new("GET", "/api/pets?limit=100").bearer(key)).await;
    (answer.status, answer.json()["data"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_seeds_and_one_makes_the_first_key() {
    for _ in 0..3 {
        let database = Database::create().await;
        let replicas = Replicas::start_printing(COUNT, "", &database.url).await;
        let printed =
            (0..COUNT).map(|number| Box::pin(replicas.program(number).printed(|text| key_in(text).is_some())));
        let key = key_in(&select_all(printed).await.0).unwrap();
        let listed: Value = serde_json::from_str(&replicas.run(&["keys", "list", "--json"]).await).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        let first = pets(&replicas, 0, &key).await;
        assert_eq!(first.0, 200);
        let mut names: Vec<&str> =
            first.1.as_array().unwrap().iter().map(|pet| pet["name"].as_str().unwrap()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(count > 5 && names.len() == count, "each pet once: {names:?}");
        for number in 1..COUNT {
            assert_eq!(pets(&replicas, number, &key).await, first);
        }
        let outputs = replicas.stop().await;
        assert_eq!(outputs.iter().filter(|output| output.contains(PREFIX)).count(), 1, "{outputs:?}");
    }
}

#[tokio::test]
async fn a_server_that_starts_later_adds_nothing() {
    let database = Database::create().await;
    let mut replicas = Replicas::start(1, OPEN, &database.url).await;
    let before = pets(&replicas, 0, "any").await;
    replicas.kill(0).await;
    replicas.launch(0).await;
    assert_eq!(pets(&replicas, 0, "any").await, before);
    replicas.stop().await;
}
