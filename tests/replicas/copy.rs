//! `petstream copy`: a store moves from a file to Postgres.

use serde_json::{Value, json};

use crate::replicas::{OPEN, Replicas};
use test_support::http::Request;
use test_support::program::{Folder, Program};
use test_support::servers::postgres::Database;

fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path).header("content-type", "application/json").body(body.to_string())
}

async fn json(server: &Program, path: &str) -> Value {
    server.ask(&Request::new("GET", path)).await.json()
}

#[tokio::test]
async fn a_copied_store_has_everything_and_its_old_cursors_are_reset() {
    let (folder, database) = (Folder::with(OPEN), Database::create().await);
    let from = format!("sqlite:{}", folder.path().join("petstream.db").display());
    let server = folder.start_with(&["--database", &from]).await;
    let pets = json(&server, "/api/pets?limit=100&status=AVAILABLE").await;
    let order = json!({ "petId": pets["data"][0]["id"] });
    let placed = post("/api/orders", &order).header("idempotency-key", "once");
    assert_eq!(server.ask(&placed).await.status, 201);
    let question = json!({ "model": "petstore-ai", "messages": [{ "role": "user", "content": "how many dogs?" }] });
    assert_eq!(server.ask(&post("/v1/chat/completions", &question)).await.status, 200);
    assert_eq!(folder.run(&["keys", "create", "--name", "bob", "--database", &from]).await.code, 0);
    let copy = ["copy", "--from", &from, "--to", &database.url];

    let refused = folder.run(&copy).await;
    assert!(refused.err.contains("is in use"), "{}", refused.err);
    let before = [json(&server, "/api/pets?limit=100").await, json(&server, "/api/orders").await];
    server.stop().await;
    let copied = folder.run(&copy).await;
    assert!(copied.code == 0 && copied.err.contains("1 orders, 1 API keys"), "{}", copied.err);
    let again = folder.run(&copy).await;
    assert!(again.err.contains("not empty"), "{}", again.err);

    let replicas = Replicas::start(2, OPEN, &database.url).await;
    for number in 0..2 {
        let server = replicas.program(number);
        let after = [json(server, "/api/pets?limit=100").await, json(server, "/api/orders").await];
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before["data"], after["data"]);
            assert_ne!(before["cursor"], after["cursor"], "a new epoch");
        }
        // The same request has the same answer.
        assert_eq!(server.ask(&placed).await.json()["id"], after[1]["data"][0]["id"]);
    }
    let keys = replicas.run(&["keys", "list", "--json"]).await;
    assert!(keys.contains("bob"), "{keys}");
    let usage: Value = serde_json::from_str(&replicas.run(&["usage", "--json"]).await).unwrap();
    assert_eq!(usage["total"]["requests"], 1);
    replicas.stop().await;
}
