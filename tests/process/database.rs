//! The database file while the server runs, and its permissions.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use test_support::frames::request;
use test_support::http::{Connection, Request};
use test_support::program::{Folder, Program};
use test_support::{becomes, soon, usage_records};

const FILES: [&str; 3] = ["petstream.db", "petstream.db-wal", "petstream.db-shm"];

async fn readiness(program: &Program) -> (u16, Value) {
    let answer = program.ask(&Request::new("GET", "/readyz")).await;
    (answer.status, answer.json()["reason"].clone())
}

fn new_pet() -> Request {
    let pet = json!({"species": "CAT", "name": "Nina", "breed": "Siamese", "ageMonths": 3, "size": "SMALL",
        "color": "grey", "price": "1.00"});
    let request = Request::new("POST", "/api/pets").header("content-type", "application/json");
    request.body(pet.to_string())
}

async fn restore(folder: &Folder) {
    let restored = folder.run(&["restore", "backup.db"]).await;
    assert_eq!(restored.code, 0, "{}", restored.err);
}

fn modes(folder: &Folder) -> [Option<u32>; 3] {
    FILES.map(|name| {
        let file = std::fs::metadata(folder.path().join(name)).ok()?;
        Some(file.permissions().mode() & 0o777)
    })
}

#[tokio::test]
async fn a_database_that_is_moved_away_is_noticed_and_written_again_when_it_is_back() {
    let folder = Folder::with("auth: none\n");
    let program = folder.start().await;
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    assert_eq!(program.ask(&new_pet()).await.status, 201);

    std::fs::rename(file("petstream.db"), file("aside")).unwrap();
    let removed = json!("the database's file was removed or renamed");
    becomes(&(503, removed), async || readiness(&program).await).await;
    let refused = program.ask(&new_pet()).await;
    assert_eq!((refused.status, refused.header("content-type")), (503, Some("application/problem+json")));
    assert!(refused.header("retry-after").is_some() && !refused.text().contains("petstream.db"), "{}", refused.text());
    // Cached data is still served, and completions continue: their records wait.
    assert_eq!(program.ask(&Request::new("GET", "/api/pets")).await.status, 200);
    let question = Request::chat(&request(&json!({"model": "petstore-ai"})));
    assert_eq!(program.ask(&question).await.status, 200);

    std::fs::copy(file("aside"), file("petstream.db")).unwrap();
    let replaced = json!("the database's file was replaced by another");
    becomes(&(503, replaced), async || readiness(&program).await).await;
    assert_eq!(program.ask(&new_pet()).await.status, 503);

    std::fs::rename(file("aside"), file("petstream.db")).unwrap();
    becomes(&(200, Value::Null), async || readiness(&program).await).await;
    assert_eq!(program.ask(&new_pet()).await.status, 201);
    program.stop().await;
    let records = usage_records::read(&folder.database()).await;
    assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [200], "not lost");
}

#[tokio::test]
async fn a_database_that_is_removed_is_noticed_by_itself() {
    let folder = Folder::with("auth: none\n");
    let program = folder.start().await;
    FILES.iter().for_each(|name| std::fs::remove_file(folder.path().join(name)).unwrap());
    // No request for the readiness here.
    let refused = async { while program.ask(&new_pet()).await.status != 503 {} };
    soon("writes to be refused", refused).await;
    program.stop().await;
}

#[tokio::test]
async fn a_stop_during_writes_leaves_everything_in_the_database_file() {
    // A copy of that one file is a backup. The write-ahead log stays if a connection is not closed before the end.
    let folder = Folder::with("auth: none\n");
    let write = new_pet();
    for _ in 0..10 {
        let program = folder.start().await;
        let mut connections = join_all((0..16).map(|_| Connection::open(program.address))).await;
        let mut writes: FuturesUnordered<_> =
            connections.iter_mut().map(|connection| connection.ask_unless_gone(&write)).collect();
        assert_eq!(writes.next().await.flatten().unwrap().status, 201);
        program.signal("TERM").await;
        // Those that the server has not accepted yet get no answer.
        let others = async { while writes.next().await.is_some() {} };
        let ((status, _), ()) = tokio::join!(program.ended(), others);
        assert_eq!(status.code(), Some(0));
        assert_eq!(modes(&folder), [Some(0o600), None, None]);
    }
}

#[tokio::test]
async fn the_database_files_are_readable_by_their_owner_only() {
    let folder = Folder::with("auth: none\n");
    let program = folder.start_after("umask 0").await;
    assert_eq!(program.ask(&new_pet()).await.status, 201);
    assert_eq!(modes(&folder), [Some(0o600); 3]);
    program.stop().await;

    // A backup may have any mode; its copy must not.
    let backup = folder.path().join("backup.db");
    std::fs::copy(folder.path().join("petstream.db"), &backup).unwrap();
    std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::remove_file(folder.path().join("petstream.db")).unwrap();
    restore(&folder).await;
    assert_eq!(modes(&folder), [Some(0o600), None, None]);

    // Permissions that were widened on purpose are kept.
    let file = folder.path().join("petstream.db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    restore(&folder).await;
    assert_eq!(modes(&folder), [Some(0o640), None, None]);
    let program = folder.start().await;
    assert_eq!(modes(&folder), [Some(0o640); 3]);
    program.stop().await;
}
