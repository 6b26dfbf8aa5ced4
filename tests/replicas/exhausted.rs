//! A Postgres without a free connection, and one whose disk is full.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, raw_sql};

use crate::database_faults::{BOUND, assert_unavailable, chat, upstream};
use crate::replicas::{Replicas, create_pet, text};
use crate::writers::{Writers, Written, assert_agree};
use test_support::config::one_model;
use test_support::http::Request;
use test_support::program::Folder;
use test_support::servers::postgres::{Cluster, PASSWORD};
use test_support::{becomes, soon};

const COUNT: usize = 2;
/// Connections of ordinary roles.
const ORDINARY: usize = 28;
/// Ends the connections of the servers.
const END_OTHERS: &str =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'petstream'";

/// Takes every connection of a cluster that ordinary roles may have, also those of the servers. Those of superusers must
/// suffice for the attempts of others too, which are refused only once they have one.
async fn take_connections(cluster: &Cluster, url: &str) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    let taking = async {
        loop {
            match PgConnection::connect(url).await {
                Ok(connection) => taken.push(connection),
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("53300") => {
                    if taken.len() == ORDINARY {
                        return;
                    }
                    cluster.psql(END_OTHERS).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    soon("all connections to be taken", taking).await;
    taken
}

async fn degraded(replicas: &Replicas, number: usize) -> serde_json::Value {
    let probe = replicas.ask(number, &Request::new("GET", "/readyz")).await;
    assert_eq!(probe.status, 200, "{}", probe.text());
    probe.json()["degraded"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_without_a_free_connection_is_one_that_is_away() {
    let (cluster, upstream) = (
        Cluster::start(&[("max_connections", "40"), ("superuser_reserved_connections", "12")]).await,
        upstream().await,
    );
    let url = cluster.create_database("shop").await;
    let yaml = one_model(&upstream, "");
    let replicas = Replicas::start(COUNT, &yaml, &url).await;
    let writers = Writers::start("w", 4, replicas.balancer.address);
    writers.progress(25).await;
    let taken = take_connections(&cluster, &url).await;
    for number in 0..COUNT {
        let began = Instant::now();
        assert_unavailable(&replicas.ask(number, &create_pet("refused")).await);
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        becomes(&json!(["postgres"]), async || degraded(&replicas, number).await).await;
        let began = Instant::now();
        for _ in 0..5 {
            assert_eq!(replicas.ask(number, &chat("none")).await.status, 200);
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    // One that starts meanwhile.
    let started = Folder::with(&yaml).run(&["--listen", "127.0.0.1:0", "--database", &url]).await;
    assert_eq!(started.code, 1, "{}", started.err);
    let place = cluster.address.to_string();
    assert!(started.err.contains(&place) && started.err.contains("connection"), "{}", started.err);
    assert!(!started.err.contains(PASSWORD), "{}", started.err);
    drop(taken);
    for number in 0..COUNT {
        becomes(&json!(null), async || degraded(&replicas, number).await).await;
    }
    writers.progress(25).await;
    let written = writers.stop().await;
    assert!(written.iter().any(|pet| pet.refused > 0), "requests were refused");
    assert_agree(&written, &replicas.log(0).await);
    assert_eq!(replicas.log(0).await, replicas.log(1).await);
    replicas.stop().await;
}

/// Longest file on the full disk. It is no multiple of a page, so that Postgres finds a page written in part: with
/// ENOSPC it reports the same error, 53100. Files of the write-ahead log are as long as a mebibyte.
const FULL: usize = 1_048_576 + 4_096;
/// Lets the table of events grow to a few pages less than [`FULL`]: all versions of its rows stay within a transaction.
const GROW: &str = "DO $$ BEGIN WHILE pg_relation_size('events') < 1000000 LOOP UPDATE events SET topic = topic; \
                    END LOOP; END $$";

/// The disk is a limit on the size of files (RLIMIT_FSIZE): a file system of its own would need the rights of root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_postgres_refuses_changes_and_loses_none() {
    let cluster = Cluster::start_with_short_files(&[("autovacuum", "off"), ("fsync", "off")]).await;
    let (url, upstream) = (cluster.create_database("shop").await, upstream().await);
    let replicas = Replicas::start(COUNT, &one_model(&upstream, ""), &url).await;
    let writers = Writers::start(&"w".repeat(200), 4, replicas.balancer.address);
    writers.progress(25).await;
    let mut written = writers.stop().await;

    cluster.limit_files(Some(FULL));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    // The last version of the rows may be too much.
    if let Err(error) = raw_sql(GROW).execute(&mut connection).await {
        assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("53100"), "{error}");
    }
    connection.close().await.unwrap();
    for number in 0..COUNT {
        written.extend(soon("a full disk", until_full(&replicas, number)).await);
        assert_eq!(replicas.ask(number, &chat("none")).await.status, 200);
    }
    assert_eq!(replicas.ask(0, &Request::new("GET", "/api/pets")).await.status, 200, "it can be read");
    cluster.limit_files(None);
    let writers = Writers::start("x", 4, replicas.balancer.address);
    writers.progress(25).await;
    written.extend(writers.stop().await);
    assert_agree(&written, &replicas.log(1).await);
    replicas.stop().await;
}

/// Creates pets on one server until the disk is full; returns those that were acknowledged.
async fn until_full(replicas: &Replicas, server: usize) -> Vec<Written> {
    let mut written = Vec::new();
    loop {
        let description = format!("{server}, {}", written.len());
        let answer = replicas.ask(server, &create_pet(&description)).await;
        if answer.status != 201 {
            assert_unavailable(&answer);
            assert!(answer.text().contains("can't be written"), "{}", answer.text());
            return written;
        }
        let id = text(&answer.json()["id"]);
        written.push(Written { description, id, lost: 0, refused: 0, replayed: false });
    }
}
