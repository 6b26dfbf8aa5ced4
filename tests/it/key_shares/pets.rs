//! Bounds of stored pets: one key cannot use the share of others.

use serde_json::json;

use super::{KEYS, ONE, OTHER};
use crate::server::Server;
use test_support::http::{Request, Whole};

async fn add(server: &Server, key: &str) -> Whole {
    let pet = json!({
        "species": "CAT", "name": "Mog", "breed": "Tabby", "ageMonths": 3, "size": "SMALL", "color": "grey", "price": "1",
    });
    let request = Request::new("POST", "/api/pets").bearer(key).header("content-type", "application/json");
    server.ask(&request.body(pet.to_string())).await
}

#[track_caller]
fn assert_full(answer: &Whole, detail: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (409, Some("application/problem+json")));
    assert_eq!(answer.json()["detail"], detail);
}

#[tokio::test]
async fn one_key_cannot_use_up_the_pets_of_others() {
    let server = Server::start(&format!("{KEYS}petstore: {{pets_per_key: 2}}\n")).await;
    let made = [add(&server, ONE).await, add(&server, ONE).await];
    assert!(made.iter().all(|answer| answer.status == 201));
    let full = "Your API key has made 2 of the pets, as many as one key may have; delete one first.";
    assert_full(&add(&server, ONE).await, full);
    assert_eq!(add(&server, OTHER).await.status, 201);
    let path = format!("/api/pets/{}", made[0].json()["id"].as_str().unwrap());
    assert_eq!(server.ask(&Request::new("DELETE", &path).bearer(ONE)).await.status, 204);
    assert_eq!(add(&server, ONE).await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn the_number_of_pets_is_bounded() {
    let server = Server::start(&format!("{KEYS}petstore: {{pets: 1}}\n")).await;
    assert_full(&add(&server, ONE).await, "The store has as many pets as it may have, 1; delete one first.");
    server.stop().await;
}
