//! Refused bodies, content types and methods, and their problem details.

use serde_json::{Value, json};

use super::{JSON, Shop, created, fields, order_path, pet_path, problem, wanda};
use crate::server::Server;
use test_support::http::Request;

/// Invalid members of a pet.
fn wrong_members() -> Vec<(&'static str, Value)> {
    vec![
        ("species", json!("DRAGON")),
        ("species", json!("fish")),
        ("name", json!("")),
        ("name", json!(" ")),
        ("name", json!("x".repeat(61))),
        ("name", json!("a\u{7}b")),
        ("name", json!(["Wanda"])),
        ("breed", json!("a\nb")),
        ("color", json!(7)),
        ("ageMonths", json!(-1)),
        ("ageMonths", json!(1.5)),
        ("ageMonths", json!(1201)),
        ("ageMonths", json!("3")),
        ("size", json!("HUGE")),
        ("gender", json!(true)),
        ("goodWithKids", json!("yes")),
        ("price", json!(149.99)),
        ("price", json!("-1")),
        ("price", json!("1e3")),
        ("price", json!("1.999")),
        ("price", json!("1000000.01")),
        ("price", json!("")),
        ("currency", json!("usd")),
        ("currency", json!("EURO")),
        ("description", json!("x".repeat(2_001))),
        ("description", json!("\u{0}")),
        ("status", json!("SOLD")),
        ("wings", json!(2)),
        ("Name", json!("Wanda")),
    ]
}

#[tokio::test]
async fn all_errors_of_a_body_are_reported_at_once() {
    let shop = Shop::open().await;
    let required = ["species", "name", "breed", "ageMonths", "size", "color", "price"];
    assert_eq!(fields(&shop.send("POST", "/api/pets", &[], &json!({})).await), required);
    let with = |name: &str, value: Value| {
        let mut pet = wanda();
        pet[name] = value;
        pet
    };
    let path = pet_path(&shop.pet().await);
    for (name, value) in wrong_members() {
        for (method, path) in [("POST", "/api/pets"), ("PUT", &path)] {
            assert_eq!(fields(&shop.send(method, path, &[], &with(name, value.clone())).await), [name], "{value}");
        }
        if name != "Name" {
            let patch = json!({(name): value});
            // The store decides the number of decimals, not the currency in the body.
            assert_eq!(fields(&shop.send("PATCH", &path, &[], &patch).await), [name], "{value}");
        }
    }
    for name in ["name", "price", "status"] {
        assert_eq!(fields(&shop.send("PATCH", &path, &[], &json!({(name): null})).await), [name]);
    }
    let long = with("name", json!("é".repeat(60)));
    created(&shop.send("POST", "/api/pets", &[], &long).await);
    let twice = r#"{"petId": 1, "petId": 2, "x/y": 3}"#;
    let request = Request::new("POST", "/api/orders").header("content-type", JSON).body(twice);
    let told = problem(&shop.server.ask(&request).await, 400);
    assert_eq!(told["errors"][0]["detail"], "must be given once");
    assert_eq!(told["errors"][1]["pointer"], "#/x~1y");
    assert_eq!(fields(&shop.send("POST", "/api/orders", &[], &json!({"petId": "1"})).await), ["petId"]);
    let order = order_path(&shop.order().await);
    let patch = json!({"status": "LOST", "petId": "1", "version": 2});
    assert_eq!(fields(&shop.send("PATCH", &order, &[], &patch).await), ["status", "petId"]);
}

#[tokio::test]
async fn bodies_that_are_no_json_objects_are_refused() {
    let shop = Shop::open().await;
    let path = pet_path(&shop.pet().await);
    let deep = "[".repeat(100_000);
    for body in ["", "[]", "\"x\"", "{\"name\": }", "{\"name\": \"x\"} x", "{\"name\": \"\u{fffd}", &deep] {
        let request = Request::new("PATCH", &path).header("content-type", JSON).body(body);
        problem(&shop.server.ask(&request).await, 400);
    }
    let request = Request::new("PATCH", &path).header("content-type", JSON).body(b"{\"name\": \"\xff\"}".to_vec());
    problem(&shop.server.ask(&request).await, 400);
    let nested = format!("{{\"name\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let request = Request::new("PATCH", &path).header("content-type", JSON).body(nested);
    problem(&shop.server.ask(&request).await, 400);
}

#[tokio::test]
async fn wrong_types_and_methods_get_the_supported_ones() {
    let shop = Shop::open().await;
    let path = pet_path(&shop.pet().await);
    let both = "application/json, application/merge-patch+json";
    let types = [Some("text/plain"), Some("application/json-patch+json"), None];
    for (method, path, name, accepted) in [
        ("PATCH", path.as_str(), "accept-patch", both),
        ("PUT", path.as_str(), "accept", JSON),
        ("POST", "/api/pets", "accept", JSON),
        ("POST", "/api/orders", "accept", JSON),
    ] {
        for kind in types {
            let request = Request::new(method, path).body(wanda().to_string());
            let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
            let answer = shop.server.ask(&request).await;
            assert!(problem(&answer, 415)["detail"].as_str().unwrap().contains(accepted));
            assert_eq!(answer.header(name), Some(accepted), "{method} {path}");
        }
    }
    for (method, path, allowed) in [
        ("DELETE", "/api/pets", "GET,HEAD,POST"),
        ("POST", path.as_str(), "GET,HEAD,PUT,PATCH,DELETE"),
        ("DELETE", "/api/orders/x", "GET,HEAD,PATCH"),
        ("POST", "/api/inventory", "GET,HEAD"),
    ] {
        let answer = shop.server.ask(&Request::new(method, path)).await;
        problem(&answer, 405);
        let mut allow: Vec<_> = answer.header("allow").unwrap().split(',').collect();
        let mut expected: Vec<_> = allowed.split(',').collect();
        allow.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allow, expected, "{path}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_problem_too() {
    let server = Server::start("auth: none\nlimits: {body: 1KiB}\n").await;
    let request = Request::new("POST", "/api/pets").header("content-type", JSON).body(vec![b' '; 2_000]);
    let answer = server.ask(&request).await;
    problem(&answer, 413);
    assert_eq!(answer.header("connection"), Some("close"));
}
