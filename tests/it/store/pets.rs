//! Pets: created, read, replaced, patched, deleted; and entity tags.

use serde_json::json;

use super::{Shop, created, ok, order_path, pet_path, problem, wanda};
use test_support::http::Request;

#[tokio::test]
async fn a_pet_is_made_read_replaced_patched_and_deleted() {
    let shop = Shop::open().await;
    let answer = shop.send("POST", "/api/pets", &[], &wanda()).await;
    let pet = created(&answer);
    let path = pet_path(&pet);
    assert_eq!((answer.header("location"), answer.header("etag")), (Some(path.as_str()), Some("\"1\"")));
    let defaults = json!({"gender": "UNKNOWN", "goodWithKids": false, "currency": "USD", "description": "",
        "status": "AVAILABLE", "version": 1, "price": "0.10"});
    for (name, value) in defaults.as_object().unwrap() {
        assert_eq!(&pet[name], value, "{name}");
    }
    let answer = shop.get(&path).await;
    assert_eq!((ok(&answer), answer.header("etag")), (pet.clone(), Some("\"1\"")));

    // The representation that was read is changed and sent back, with the read-only members.
    let mut whole = pet.clone();
    whole["name"] = json!("Nemo");
    whole["version"] = json!(99);
    let answer = shop.send("PUT", &path, &[], &whole).await;
    let replaced = ok(&answer);
    assert_eq!((&replaced["name"], &replaced["version"]), (&json!("Nemo"), &json!(2)));
    assert_eq!((&replaced["id"], &replaced["createdAt"]), (&pet["id"], &pet["createdAt"]));
    assert_eq!(answer.header("etag"), Some("\"2\""));

    let patch = json!({"price": "19.99", "description": "Two\nlines.", "gender": null});
    for kind in ["application/merge-patch+json", "Application/JSON; charset=utf-8"] {
        let request = Request::new("PATCH", &path).header("content-type", kind).body(patch.to_string());
        let answer = shop.server.ask(&request).await;
        let patched = ok(&answer);
        assert_eq!((&patched["price"], &patched["name"]), (&json!("19.99"), &json!("Nemo")));
        // The second time nothing changes.
        assert_eq!(answer.header("etag"), Some("\"3\""));
    }

    let answer = shop.server.ask(&Request::new("DELETE", &path)).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("content-type")), (204, 0, None));
    for method in ["GET", "DELETE"] {
        problem(&shop.server.ask(&Request::new(method, &path)).await, 404);
    }
    for method in ["PUT", "PATCH"] {
        problem(&shop.send(method, &path, &[], &wanda()).await, 404);
    }
}

#[tokio::test]
async fn a_put_takes_defaults_for_missing_members_except_the_status() {
    let shop = Shop::open().await;
    let mut pet = wanda();
    pet["status"] = json!("PENDING");
    pet["description"] = json!("Long gone.");
    let pet = created(&shop.send("POST", "/api/pets", &[], &pet).await);
    let replaced = ok(&shop.send("PUT", &pet_path(&pet), &[], &wanda()).await);
    assert_eq!((&replaced["status"], &replaced["description"]), (&json!("PENDING"), &json!("")));
}

#[tokio::test]
async fn entity_tags_guard_changes_and_allow_304() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let approve = json!({"status": "APPROVED"});
    for (path, patch) in [(pet_path(&shop.pet().await), json!({"name": "Nemo"})), (order_path(&order), approve)] {
        for wrong in ["\"2\"", "W/\"1\"", "1", "\"x\""] {
            let told = problem(&shop.send("PATCH", &path, &[("if-match", wrong)], &patch).await, 412);
            assert!(told["detail"].as_str().unwrap().contains("version 1"), "{told}");
        }
        ok(&shop.send("PATCH", &path, &[("if-match", "\"9\", \"1\"")], &patch).await);
        problem(&shop.send("PATCH", &path, &[("if-match", "\"1\"")], &patch).await, 412);
        ok(&shop.send("PATCH", &path, &[("if-match", "*")], &patch).await);
        for (tag, status) in [("\"2\"", 304), ("W/\"2\"", 304), ("*", 304), ("\"0\", \"2\"", 304), ("\"1\"", 200)] {
            let answer = shop.server.ask(&Request::new("GET", &path).header("if-none-match", tag)).await;
            assert_eq!((answer.status, answer.header("etag")), (status, Some("\"2\"")), "{tag}");
            assert_eq!(answer.body.is_empty(), status == 304);
        }
    }
    let path = pet_path(&shop.pet().await);
    problem(&shop.send("PUT", &path, &[("if-match", "\"7\"")], &wanda()).await, 412);
    let delete = |tag| Request::new("DELETE", &path).header("if-match", tag);
    problem(&shop.server.ask(&delete("\"7\"")).await, 412);
    assert_eq!(shop.server.ask(&delete("\"1\"")).await.status, 204);
}
