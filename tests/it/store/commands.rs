//! Commands: their effects, their events, and concurrent ones.

use futures_util::future::join_all;
use petstream::wire::event::EventKind;
use serde_json::{Value, json};

use super::{Shop, created, kinds, ok, order_path, pet_path, problem, resource, wanda};
use test_support::http::Request;

#[tokio::test]
async fn every_command_writes_its_event() {
    let shop = Shop::open().await;
    let mut seen = shop.head().await;
    let mut next = async |expected: &[EventKind]| {
        let events = shop.told(seen).await;
        seen += events.len() as u64;
        assert_eq!(kinds(&events), expected);
        events
    };
    let pet = shop.pet().await;
    let path = pet_path(&pet);
    let events = next(&[EventKind::PetUpdate, EventKind::InventoryChanged]).await;
    assert_eq!(resource(&events[0]), pet);
    let mut counts = ok(&shop.get("/api/inventory").await);
    assert_eq!(counts["cursor"].as_str().unwrap().split_once('.').unwrap().1, events[1].seq.to_string());
    counts.as_object_mut().unwrap().remove("cursor");
    assert_eq!(resource(&events[1]), counts);

    let mut renamed = pet.clone();
    renamed["name"] = json!("Nemo");
    ok(&shop.send("PUT", &path, &[], &renamed).await);
    next(&[EventKind::PetUpdate]).await;
    ok(&shop.send("PATCH", &path, &[], &json!({"name": "Nemo"})).await);
    next(&[]).await;
    let patched = ok(&shop.send("PATCH", &path, &[], &json!({"status": "ADOPTED", "name": "Coral"})).await);
    let events = next(&[EventKind::PetStatusChanged, EventKind::InventoryChanged]).await;
    assert_eq!(resource(&events[0]), patched);
    assert!(events[0].body.ends_with(r#","old":"AVAILABLE","new":"ADOPTED""#));
    ok(&shop.send("PATCH", &path, &[], &json!({"status": "AVAILABLE"})).await);
    next(&[EventKind::PetStatusChanged, EventKind::InventoryChanged]).await;

    let order = created(&shop.send("POST", "/api/orders", &[], &json!({"petId": pet["id"]})).await);
    let events = next(&[EventKind::OrderCreated, EventKind::PetStatusChanged, EventKind::InventoryChanged]).await;
    assert_eq!(resource(&events[0]), order);
    for status in ["APPROVED", "SHIPPED"] {
        let moved = ok(&shop.send("PATCH", &order_path(&order), &[], &json!({"status": status})).await);
        assert_eq!(resource(&next(&[EventKind::OrderStatusChanged]).await[0]), moved);
    }
    ok(&shop.send("PATCH", &order_path(&order), &[], &json!({"status": "DELIVERED"})).await);
    next(&[EventKind::OrderStatusChanged, EventKind::PetStatusChanged, EventKind::InventoryChanged]).await;
    assert_eq!(shop.server.ask(&Request::new("DELETE", &path)).await.status, 204);
    let events = next(&[EventKind::PetUpdate, EventKind::InventoryChanged]).await;
    assert_eq!((resource(&events[0]), events[0].version), (Value::Null, 7));

    // Of the seeded fish, three are available, so that one order leaves two.
    let fishes = ok(&shop.get("/api/pets?species=FISH&status=AVAILABLE").await);
    assert_eq!(fishes["data"].as_array().unwrap().len(), 3);
    created(&shop.send("POST", "/api/orders", &[], &json!({"petId": fishes["data"][0]["id"]})).await);
    let expected =
        [EventKind::OrderCreated, EventKind::PetStatusChanged, EventKind::InventoryChanged, EventKind::Notification];
    let news = resource(&next(&expected).await[3]);
    assert_eq!((&news["species"], &news["available"]), (&json!("FISH"), &json!(2)));
}

#[tokio::test]
async fn of_a_hundred_concurrent_orders_one_succeeds() {
    let shop = Shop::open().await;
    let pet = shop.pet().await;
    let seen = shop.head().await;
    let body = json!({"petId": pet["id"]});
    let answers = join_all((0..100).map(|_| shop.send("POST", "/api/orders", &[], &body))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((won.len(), lost.len()), (1, 99));
    for answer in lost {
        assert!(problem(answer, 409)["detail"].as_str().unwrap().contains("PENDING"));
    }
    let open = ok(&shop.get(&format!("/api/orders?petId={}", pet["id"].as_str().unwrap())).await);
    assert_eq!(open["data"], json!([won[0].json()]));
    assert_eq!(ok(&shop.get(&pet_path(&pet)).await)["status"], "PENDING");
    assert_eq!(shop.told(seen).await.len(), 3);
}

#[tokio::test]
async fn a_hundred_requests_with_one_idempotency_key_create_one_order() {
    let shop = Shop::open().await;
    let pet = shop.pet().await;
    let body = json!({"petId": pet["id"]});
    let key = [("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")];
    let answers = join_all((0..100).map(|_| shop.send("POST", "/api/orders", &key, &body))).await;
    let order = created(&answers[0]);
    for answer in &answers {
        assert_eq!((created(answer), answer.header("etag")), (order.clone(), Some("\"1\"")));
        assert_eq!(answer.header("location"), Some(order_path(&order).as_str()));
    }
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == Some("true"));
    assert_eq!(replayed.count(), 99);
    assert_eq!(ok(&shop.get("/api/orders").await)["data"].as_array().unwrap().len(), 1);

    // The answer is that of the first request, whatever has changed since.
    ok(&shop.send("PATCH", &order_path(&order), &[], &json!({"status": "CANCELLED"})).await);
    let again = shop.send("POST", "/api/orders", &key, &body).await;
    assert_eq!((again.status, again.body), (201, answers[0].body.clone()));
    // Another body or path is another request.
    problem(&shop.send("POST", "/api/orders", &key, &json!({"petId": order["id"]})).await, 422);
    problem(&shop.send("POST", "/api/pets", &key, &wanda()).await, 422);
    let long = "x".repeat(256);
    for bad in ["", long.as_str()] {
        let told = problem(&shop.send("POST", "/api/orders", &[("idempotency-key", bad)], &body).await, 400);
        assert_eq!(told["errors"][0]["field"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn orders_follow_their_state_machine() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let path = order_path(&order);
    let pet = format!("/api/pets/{}", order["petId"].as_str().unwrap());
    assert_eq!(
        (&order["price"], &order["currency"], &order["status"]),
        (&json!("0.10"), &json!("USD"), &json!("PLACED"))
    );
    for to in ["SHIPPED", "DELIVERED"] {
        let told = problem(&shop.send("PATCH", &path, &[], &json!({"status": to})).await, 409)["detail"].to_string();
        assert!(told.contains("PLACED") && told.contains(to), "{told}");
    }
    for status in ["AVAILABLE", "ADOPTED"] {
        let told = problem(&shop.send("PATCH", &pet, &[], &json!({"status": status})).await, 409);
        assert!(told["detail"].as_str().unwrap().contains(order["id"].as_str().unwrap()));
    }
    problem(&shop.server.ask(&Request::new("DELETE", &pet)).await, 409);
    for (to, of_pet) in [("APPROVED", "PENDING"), ("SHIPPED", "PENDING"), ("DELIVERED", "ADOPTED")] {
        assert_eq!(ok(&shop.send("PATCH", &path, &[], &json!({"status": to})).await)["status"], to);
        assert_eq!(ok(&shop.get(&pet).await)["status"], of_pet);
        if to != "APPROVED" {
            problem(&shop.send("PATCH", &path, &[], &json!({"status": "CANCELLED"})).await, 409);
        }
    }
    problem(&shop.send("POST", "/api/orders", &[], &json!({"petId": order["petId"]})).await, 409);
    problem(&shop.send("POST", "/api/orders", &[], &json!({"petId": order["id"]})).await, 404);
    let other = shop.order().await;
    ok(&shop.send("PATCH", &order_path(&other), &[], &json!({"status": "CANCELLED"})).await);
    created(&shop.send("POST", "/api/orders", &[], &json!({"petId": other["petId"]})).await);
    assert_eq!(ok(&shop.get("/api/orders?status=CANCELLED,DELIVERED").await)["data"].as_array().unwrap().len(), 2);
}
