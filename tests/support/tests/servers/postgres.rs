//! PostgreSQL and PgBouncer as child processes, and their faults.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use test_support::servers::pgbouncer::PgBouncer;
use test_support::servers::postgres::{Cluster, Database};
use test_support::soon;
use test_support::tls::Authority;

async fn connect(url: &str) -> PgConnection {
    soon("a connection", PgConnection::connect(url)).await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    soon("a statement", sqlx::raw_sql(sql).execute(connection)).await.map(drop)
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    soon("a query", sqlx::query_scalar(sql).fetch_one(connection)).await
}

/// A cluster with a table of numbers in a database, and its URL.
async fn with_numbers(settings: &[(&str, &str)]) -> (Cluster, String) {
    let cluster = Cluster::start(settings).await;
    let url = cluster.create_database("shop").await;
    let mut connection = connect(&url).await;
    execute(&mut connection, "CREATE TABLE numbers (n bigint); INSERT INTO numbers VALUES (1)").await.unwrap();
    (cluster, url)
}

#[tokio::test]
async fn each_test_has_its_own_database_of_one_cluster() {
    let (one, other) = (Database::create().await, Database::create().await);
    assert_ne!(one.url, other.url);
    let mut connection = connect(&one.url).await;
    execute(&mut connection, "CREATE TABLE numbers (n bigint)").await.unwrap();
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'numbers'";
    assert_eq!(number(&mut connection, tables).await.unwrap(), 1);
    assert_eq!(number(&mut connect(&other.url).await, tables).await.unwrap(), 0);
    // Its owner is no superuser, and texts are in the order of a language.
    assert_eq!(
        number(&mut connection, "SELECT rolsuper::int::bigint FROM pg_roles WHERE rolname = current_user")
            .await
            .unwrap(),
        0
    );
    assert_eq!(number(&mut connection, "SELECT ('a' < 'B')::int::bigint").await.unwrap(), 1);
}

#[tokio::test]
async fn a_database_of_an_earlier_test_has_neither_tables_nor_connections() {
    let first = Database::create().await;
    let (url, mut connection) = (first.url.clone(), connect(&first.url).await);
    execute(&mut connection, "CREATE TABLE numbers (n bigint); CREATE SEQUENCE counter").await.unwrap();
    drop(first);
    // Those that became unused before it are used again first, and some rest.
    for count in 0.. {
        assert!(count < 100, "it is not used again");
        let mut others = Vec::new();
        for _ in 0..5 {
            others.push(Database::create().await);
        }
        if others.iter().any(|other| other.url == url) {
            break;
        }
    }
    assert!(execute(&mut connection, "SELECT 1").await.is_err());
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(number(&mut connect(&url).await, left).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart_and_a_kill() {
    let (mut cluster, url) = with_numbers(&[]).await;
    let mut connection = connect(&url).await;
    cluster.restart().await;
    assert!(execute(&mut connection, "SELECT 1").await.is_err(), "it is another server");
    let mut connection = connect(&url).await;
    execute(&mut connection, "INSERT INTO numbers VALUES (2)").await.unwrap();
    execute(&mut connection, "BEGIN; INSERT INTO numbers VALUES (3)").await.unwrap();
    cluster.kill().await;
    assert!(PgConnection::connect(&url).await.is_err());
    cluster.launch().await;
    assert_eq!(number(&mut connect(&url).await, "SELECT sum(n)::bigint FROM numbers").await.unwrap(), 3);
}

#[tokio::test]
async fn a_paused_cluster_keeps_connections_and_does_not_answer() {
    let (cluster, url) = with_numbers(&[]).await;
    let mut connection = connect(&url).await;
    cluster.pause();
    let long = Duration::from_millis(200);
    assert!(tokio::time::timeout(long, PgConnection::connect(&url)).await.is_err());
    let mut query = std::pin::pin!(number(&mut connection, "SELECT n FROM numbers"));
    assert!(tokio::time::timeout(long, &mut query).await.is_err());
    cluster.resume();
    assert_eq!(query.await.unwrap(), 1);
}

#[tokio::test]
async fn a_standby_that_was_cut_off_lacks_the_last_commits_when_it_is_promoted() {
    let (mut primary, url) = with_numbers(&[]).await;
    let began = Instant::now();
    let standby = primary.standby().await;
    let copy = standby.url("shop");
    execute(&mut connect(&url).await, "INSERT INTO numbers VALUES (2)").await.unwrap();
    let sum = "SELECT sum(n)::bigint FROM numbers";
    Box::pin(soon("the copy", async { while number(&mut connect(&copy).await, sum).await.unwrap() < 3 {} })).await;
    let refused = execute(&mut connect(&copy).await, "INSERT INTO numbers VALUES (3)").await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "25006");
    standby.cut_off().await;
    execute(&mut connect(&url).await, "INSERT INTO numbers VALUES (4)").await.unwrap();
    primary.kill().await;
    standby.promote().await;
    let mut connection = connect(&copy).await;
    assert_eq!(number(&mut connection, sum).await.unwrap(), 3);
    execute(&mut connection, "INSERT INTO numbers VALUES (5)").await.unwrap();
    eprintln!("copy, promotion and all between: {:?}", began.elapsed());
    // The old primary is a standby of nothing that takes no writes, as a fenced one.
    primary.launch().await;
    assert_eq!(number(&mut connect(&url).await, sum).await.unwrap(), 7);
}

#[tokio::test]
async fn settings_bound_connections() {
    let (cluster, url) = with_numbers(&[("max_connections", "6"), ("superuser_reserved_connections", "3")]).await;
    let mut open = Vec::new();
    let refused = loop {
        match PgConnection::connect(&url).await {
            Ok(connection) => open.push(connection),
            Err(refused) => break refused,
        }
    };
    assert_eq!((open.len(), refused.as_database_error().unwrap().code().unwrap().as_ref()), (3, "53300"));
    assert_eq!(cluster.psql("SHOW max_connections").await, "6");
}

#[tokio::test]
async fn tls_is_demanded() {
    let authority = Authority::new();
    let cluster = Cluster::start_with_tls(&authority).await;
    let url = cluster.create_database("shop").await;
    assert!(url.contains("sslmode=verify-full"), "{url}");
    assert_eq!(cluster.psql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await, "t");
    let bare = url.split('?').next().unwrap().to_owned() + "?sslmode=disable";
    let refused = PgConnection::connect(&bare).await.unwrap_err();
    assert!(refused.to_string().contains("no encryption"), "{refused}");
}

#[tokio::test]
async fn pgbouncer_shares_a_server_connection_between_transactions() {
    let (cluster, _) = with_numbers(&[]).await;
    let mut bouncer = PgBouncer::start(&cluster, 1).await;
    let url = bouncer.url(&cluster, "shop");
    let (mut one, mut other) = (connect(&url).await, connect(&url).await);
    let own_id = "SELECT pg_backend_pid()";
    let ids = [execute(&mut one, own_id).await, execute(&mut other, own_id).await];
    assert!(ids.iter().all(Result::is_ok), "{ids:?}");
    assert_eq!(cluster.psql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'").await, "1");
    // A transaction keeps it: another one waits.
    execute(&mut one, "BEGIN").await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), sqlx::raw_sql("SELECT 1").execute(&mut other)).await.is_err()
    );
    bouncer.restart().await;
    assert!(execute(&mut one, "COMMIT").await.is_err());
    execute(&mut connect(&url).await, "SELECT 1").await.unwrap();
}
