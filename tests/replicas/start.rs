//! Servers that start at once on an empty database.

use futures_util::future::select_all;
use serde_json::Value;

use sqlx::{Connection as _, PgConnection};

use crate::replicas::{OPEN, Replicas, create_pet};
use test_support::http::Request;
use test_support::program::Folder;
use test_support::servers::postgres::{Cluster, Database, PASSWORD};
use test_support::tls::Authority;

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

/// What the migration of a later version may do: it only extends.
pub(crate) const LATER: [&str; 4] = [
    "ALTER TABLE pets ADD COLUMN nickname TEXT",
    "ALTER TABLE events ADD COLUMN note TEXT",
    "CREATE TABLE later (id BIGINT PRIMARY KEY)",
    "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
     VALUES (9999, 'later', now(), true, '\\x00', 0)",
];

#[tokio::test]
async fn a_server_starts_and_works_on_the_database_of_a_later_version() {
    let database = Database::create().await;
    let mut replicas = Replicas::start(2, OPEN, &database.url).await;
    // Side by side with the later version, which has migrated already.
    let mut later = PgConnection::connect(&database.url).await.unwrap();
    for sql in LATER {
        sqlx::query(sql).execute(&mut later).await.unwrap();
    }
    assert_eq!(replicas.ask(0, &create_pet("before")).await.status, 201);
    replicas.kill(0).await;
    replicas.launch(0).await;
    assert_eq!(replicas.ask(0, &create_pet("after")).await.status, 201);
    assert_eq!(replicas.log(0).await, replicas.log(1).await);
    replicas.stop().await;
    // The test that uses the database next expects the tables of this version.
    for sql in ["ALTER TABLE pets DROP COLUMN nickname", "ALTER TABLE events DROP COLUMN note", "DROP TABLE later"] {
        sqlx::query(sql).execute(&mut later).await.unwrap();
    }
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 9999").execute(&mut later).await.unwrap();
}

#[tokio::test]
async fn connections_to_postgres_are_encrypted_and_its_certificate_is_verified() {
    let (authority, other) = (Authority::new(), Authority::new());
    let cluster = Cluster::start_with_tls(&authority).await;
    let url = cluster.create_database("pets").await;
    let replicas = Replicas::start(1, OPEN, &url).await;
    assert_eq!(replicas.ask(0, &create_pet("encrypted")).await.status, 201);
    let encrypted = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'petstream'";
    assert_eq!(cluster.psql(encrypted).await, "t");
    replicas.stop().await;

    let known = authority.file();
    let unknown = url.replace(known.to_str().unwrap(), other.file().to_str().unwrap());
    assert_ne!(unknown, url);
    let refused = Folder::new().run(&["migrate", "--database", &unknown]).await;
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("sslmode") && !refused.err.contains(PASSWORD), "{}", refused.err);
}
