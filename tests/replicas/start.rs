//! Servers that start at once on an empty database.

use serde_json::Value;

use crate::replicas::{OPEN, Replicas};
use test_support::http::Request;
use test_support::servers::postgres::Database;

const COUNT: usize = 3;

async fn pets(replicas: &Replicas, number: usize, key: &str) -> (u16, Value) {
    let answer = replicas.ask(number, &Request::new("GET", "/api/pets?limit=100").bearer(key)).await;
    (answer.status, answer.json()["data"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_seeds_and_one_makes_the_first_key() {
    for _ in 0..3 {
        let database = Database::create().await;
        let replicas = Replicas::start(COUNT, "", &database.url).await;
        let file = |number: usize| replicas.folder(number).path().join("petstream.key");
        let keys: Vec<String> = (0..COUNT).filter_map(|number| std::fs::read_to_string(file(number)).ok()).collect();
        assert_eq!(keys.len(), 1, "one shows the secret, which is stored nowhere else");
        let listed: Value = serde_json::from_str(&replicas.run(&["keys", "list", "--json"]).await).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        let first = pets(&replicas, 0, keys[0].trim_end()).await;
        assert_eq!(first.0, 200);
        let mut names: Vec<&str> =
            first.1.as_array().unwrap().iter().map(|pet| pet["name"].as_str().unwrap()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(count > 5 && names.len() == count, "each pet once: {names:?}");
        for number in 1..COUNT {
            assert_eq!(pets(&replicas, number, keys[0].trim_end()).await, first);
        }
        replicas.stop().await;
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
