//! Pets, orders and the inventory over real sockets, and the log that every change of theirs is told in.
#![cfg(test)]

#[path = "it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with the binary that needs all of it")]
mod support;

use futures_util::future::join_all;
use petstream::petstore::log::{EventLog, LoggedEvent};
use petstream::store::Store;
use petstream::wire::event::{Kind, Topics};
use serde_json::{Value, json};

use self::support::http::{Request, Whole};
use self::support::server::Server;

const OPEN: &str = "auth: none\n";
const JSON: &str = "application/json";

/// A server and its log, read past the server.
struct Shop {
    server: Server,
    log: EventLog,
}

impl Shop {
    async fn open() -> Self {
        let server = Server::start_on_disk(OPEN).await;
        let log = EventLog::new(Store::open(&server.database()).await.unwrap());
        Self { server, log }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Whole {
        let request = Request::new(method, path).header("content-type", JSON).body(body.to_string());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        self.server.ask(&request).await
    }

    async fn get(&self, path: &str) -> Whole {
        self.server.ask(&Request::new("GET", path)).await
    }

    /// A new pet.
    async fn pet(&self) -> Value {
        created(&self.send("POST", "/api/pets", &[], &wanda()).await)
    }

    /// An order of a new pet.
    async fn order(&self) -> Value {
        let pet = self.pet().await;
        created(&self.send("POST", "/api/orders", &[], &json!({"petId": pet["id"]})).await)
    }

    async fn head(&self) -> u64 {
        self.log.position().await.unwrap().head
    }

    async fn told(&self, after: u64) -> Vec<LoggedEvent> {
        self.log.page(Topics::ALL, after, u64::MAX >> 1, 1_000).await.unwrap()
    }
}

fn wanda() -> Value {
    json!({"species": "FISH", "name": "Wanda", "breed": "Angelfish", "ageMonths": 3, "size": "SMALL",
        "color": "silver", "price": "0.10"})
}

fn pet_path(pet: &Value) -> String {
    format!("/api/pets/{}", pet["id"].as_str().unwrap())
}

fn order_path(order: &Value) -> String {
    format!("/api/orders/{}", order["id"].as_str().unwrap())
}

#[track_caller]
fn ok(answer: &Whole) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[track_caller]
fn created(answer: &Whole) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// The problem of an answer with this status, in the shape of RFC 9457.
#[track_caller]
fn problem(answer: &Whole, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["type"]), (&json!(status), &json!("about:blank")));
    assert!(!problem["detail"].as_str().unwrap().is_empty() && problem["title"].is_string());
    problem
}

#[track_caller]
fn fields(answer: &Whole) -> Vec<String> {
    let problem = problem(answer, 400);
    let errors = problem["errors"].as_array().unwrap();
    let field = |error: &Value| {
        let field = error["field"].as_str().unwrap();
        assert_eq!(error["pointer"], format!("#/{field}"));
        assert!(problem["detail"].as_str().unwrap().contains(field));
        field.to_owned()
    };
    errors.iter().map(field).collect()
}

fn kinds(events: &[LoggedEvent]) -> Vec<Kind> {
    events.iter().map(|event| event.kind).collect()
}

fn resource(event: &LoggedEvent) -> Value {
    serde_json::from_str::<Value>(&format!("{{{}}}", event.body)).unwrap()["resource"].clone()
}

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

    // What was read is changed and sent back, the server's own members among it.
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
        // The second time it changes nothing.
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
async fn a_put_takes_defaults_for_what_is_left_out_but_for_the_status() {
    let shop = Shop::open().await;
    let mut pet = wanda();
    pet["status"] = json!("PENDING");
    pet["description"] = json!("Long gone.");
    let pet = created(&shop.send("POST", "/api/pets", &[], &pet).await);
    let replaced = ok(&shop.send("PUT", &pet_path(&pet), &[], &wanda()).await);
    assert_eq!((&replaced["status"], &replaced["description"]), (&json!("PENDING"), &json!("")));
}

#[tokio::test]
async fn tags_guard_changes_and_spare_reading() {
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

#[tokio::test]
async fn every_command_tells_the_log_what_it_did() {
    let shop = Shop::open().await;
    let mut seen = shop.head().await;
    let mut next = async |expected: &[Kind]| {
        let events = shop.told(seen).await;
        seen += events.len() as u64;
        assert_eq!(kinds(&events), expected);
        events
    };
    let pet = shop.pet().await;
    let path = pet_path(&pet);
    let events = next(&[Kind::PetUpdate, Kind::InventoryChanged]).await;
    assert_eq!(resource(&events[0]), pet);
    let mut counts = ok(&shop.get("/api/inventory").await);
    assert_eq!(counts["cursor"].as_str().unwrap().split_once('.').unwrap().1, events[1].seq.to_string());
    counts.as_object_mut().unwrap().remove("cursor");
    assert_eq!(resource(&events[1]), counts);

    let mut renamed = pet.clone();
    renamed["name"] = json!("Nemo");
    ok(&shop.send("PUT", &path, &[], &renamed).await);
    next(&[Kind::PetUpdate]).await;
    ok(&shop.send("PATCH", &path, &[], &json!({"name": "Nemo"})).await);
    next(&[]).await;
    let patched = ok(&shop.send("PATCH", &path, &[], &json!({"status": "ADOPTED", "name": "Coral"})).await);
    let events = next(&[Kind::PetStatusChanged, Kind::InventoryChanged]).await;
    assert_eq!(resource(&events[0]), patched);
    assert!(events[0].body.ends_with(r#","old":"AVAILABLE","new":"ADOPTED""#));
    ok(&shop.send("PATCH", &path, &[], &json!({"status": "AVAILABLE"})).await);
    next(&[Kind::PetStatusChanged, Kind::InventoryChanged]).await;

    let order = created(&shop.send("POST", "/api/orders", &[], &json!({"petId": pet["id"]})).await);
    let events = next(&[Kind::OrderCreated, Kind::PetStatusChanged, Kind::InventoryChanged]).await;
    assert_eq!(resource(&events[0]), order);
    for status in ["APPROVED", "SHIPPED"] {
        let moved = ok(&shop.send("PATCH", &order_path(&order), &[], &json!({"status": status})).await);
        assert_eq!(resource(&next(&[Kind::OrderStatusChanged]).await[0]), moved);
    }
    ok(&shop.send("PATCH", &order_path(&order), &[], &json!({"status": "DELIVERED"})).await);
    next(&[Kind::OrderStatusChanged, Kind::PetStatusChanged, Kind::InventoryChanged]).await;
    assert_eq!(shop.server.ask(&Request::new("DELETE", &path)).await.status, 204);
    let events = next(&[Kind::PetUpdate, Kind::InventoryChanged]).await;
    assert_eq!((resource(&events[0]), events[0].version), (Value::Null, 7));

    // The seeded fishes: three of them available, so that one order leaves two.
    let fishes = ok(&shop.get("/api/pets?species=FISH&status=AVAILABLE").await);
    assert_eq!(fishes["data"].as_array().unwrap().len(), 3);
    created(&shop.send("POST", "/api/orders", &[], &json!({"petId": fishes["data"][0]["id"]})).await);
    let expected = [Kind::OrderCreated, Kind::PetStatusChanged, Kind::InventoryChanged, Kind::Notification];
    let news = resource(&next(&expected).await[3]);
    assert_eq!((&news["species"], &news["available"]), (&json!("FISH"), &json!(2)));
}

#[tokio::test]
async fn of_a_hundred_orders_at_once_one_wins() {
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
async fn a_hundred_requests_with_one_key_make_one_order() {
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

    // The answer is that of the first time, whatever came since.
    ok(&shop.send("PATCH", &order_path(&order), &[], &json!({"status": "CANCELLED"})).await);
    let again = shop.send("POST", "/api/orders", &key, &body).await;
    assert_eq!((again.status, again.body), (201, answers[0].body.clone()));
    // Another body, or another path, is another request.
    problem(&shop.send("POST", "/api/orders", &key, &json!({"petId": order["id"]})).await, 422);
    problem(&shop.send("POST", "/api/pets", &key, &wanda()).await, 422);
    let long = "x".repeat(256);
    for bad in ["", long.as_str()] {
        let told = problem(&shop.send("POST", "/api/orders", &[("idempotency-key", bad)], &body).await, 400);
        assert_eq!(told["errors"][0]["field"], "Idempotency-Key");
    }
}

#[tokio::test]
async fn orders_go_their_way_and_no_other() {
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

/// Members that no pet can have.
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
async fn everything_wrong_with_a_body_is_told_at_once() {
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
            // A currency is not there to say how many decimals it has: the store knows.
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
async fn other_types_and_methods_are_told_what_there_is() {
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

#[tokio::test]
async fn all_pages_repeat_the_cursor_of_the_first() {
    let shop = Shop::open().await;
    for _ in 0..3 {
        shop.order().await;
    }
    for list in ["/api/pets?limit=20", "/api/orders?limit=1"] {
        let first = shop.get(list).await;
        let cursor = ok(&first)["cursor"].as_str().unwrap().to_owned();
        assert_eq!(first.header("petstream-cursor"), Some(cursor.as_str()));
        let position = shop.log.position().await.unwrap();
        assert_eq!(cursor, position.cursor().to_string());
        let (mut pages, mut next, mut ids) = (0, Some(list.to_owned()), Vec::new());
        while let Some(path) = next {
            let answer = shop.get(&path).await;
            let page = ok(&answer);
            assert_eq!((page["cursor"].as_str(), answer.header("petstream-cursor")), (Some(&*cursor), Some(&*cursor)));
            ids.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].to_string()));
            next = page["next"].as_str().map(str::to_owned);
            pages += 1;
            // A change between two pages: it is behind the cursor that they repeat.
            if pages == 1 {
                shop.pet().await;
                ok(&shop.get("/api/inventory").await);
            }
            assert!(pages < 20, "paging does not end");
        }
        assert!(pages >= 3);
        assert!(shop.head().await > position.head);
        let met = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(met >= 3 && ids.len() == met, "one came twice");
    }
    for bad in ["after=x", "after=00.a.1", "limit=0", "petId=7", "status=LOST", "sort=x"] {
        problem(&shop.get(&format!("/api/orders?{bad}")).await, 400);
    }
}

#[tokio::test]
async fn the_inventory_adds_up() {
    let shop = Shop::open().await;
    let answer = shop.get("/api/inventory").await;
    let counts = ok(&answer);
    assert_eq!(answer.header("petstream-cursor"), counts["cursor"].as_str());
    let sum = |value: &Value| value.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    let total = counts["total"].as_u64().unwrap();
    assert!(total > 0);
    assert_eq!((sum(&counts["byStatus"]), sum(&counts["bySpecies"])), (total, total));
    for (species, statuses) in counts["bySpeciesAndStatus"].as_object().unwrap() {
        assert_eq!(sum(statuses), counts["bySpecies"][species].as_u64().unwrap());
    }
    assert_eq!(counts["bySpecies"].as_object().unwrap().len(), 7);
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes_unless_reads_are_public() {
    let keys = "keys:\n  - {name: r, key: reader-key, scopes: ['store:read']}\n  - {name: w, key: writer-key, scopes: ['store:write']}\n";
    let closed = Server::start(keys).await;
    let public = Server::start(&format!("{keys}petstore: {{public_reads: true}}\n")).await;
    let post = || Request::new("POST", "/api/pets").header("content-type", JSON).body(wanda().to_string());
    for path in ["/api/pets", "/api/orders", "/api/inventory"] {
        let get = || Request::new("GET", path);
        problem(&closed.ask(&get()).await, 401);
        problem(&closed.ask(&get().bearer("writer-key")).await, 403);
        ok(&closed.ask(&get().bearer("reader-key")).await);
        ok(&public.ask(&get()).await);
        // Who shows a key is held to it.
        problem(&public.ask(&get().bearer("wrong-key")).await, 401);
        ok(&public.ask(&get().bearer("reader-key")).await);
    }
    for server in [&closed, &public] {
        problem(&server.ask(&post()).await, 401);
        problem(&server.ask(&post().bearer("reader-key")).await, 403);
        created(&server.ask(&post().bearer("writer-key")).await);
    }
    assert_eq!(public.ask(&Request::chat(&json!({"model": "petstore-ai", "messages": []}))).await.status, 401);
}

#[tokio::test]
async fn the_local_model_answers_from_the_same_data_at_once() {
    let shop = Shop::open().await;
    let ask = async |question: &str| {
        let messages = json!([{"role": "user", "content": question}]);
        let body = json!({"model": "petstore-ai", "messages": messages});
        let answer = ok(&shop.server.ask(&Request::chat(&body)).await);
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let mut pet = wanda();
    pet["name"] = json!("Zebulon");
    pet["price"] = json!("1234.56");
    let pet = created(&shop.send("POST", "/api/pets", &[], &pet).await);
    let answer = ask("How much is Zebulon?").await;
    assert!(answer.contains("1234.56") || answer.contains("1,234.56"), "{answer}");
    ok(&shop.send("PATCH", &pet_path(&pet), &[], &json!({"price": "77.01"})).await);
    let answer = ask("How much is Zebulon?").await;
    assert!(answer.contains("77.01"), "{answer}");
    created(&shop.send("POST", "/api/orders", &[], &json!({"petId": pet["id"]})).await);
    let answer = ask("Is Zebulon available?").await.to_lowercase();
    assert!(answer.contains("pending") || answer.contains("reserved"), "{answer}");
}

#[tokio::test]
async fn money_is_exact_from_end_to_end() {
    let shop = Shop::open().await;
    for (sent, currency, shown) in [
        ("0", "USD", "0.00"),
        ("0.1", "USD", "0.10"),
        ("149.99", "USD", "149.99"),
        ("999999.99", "EUR", "999999.99"),
        ("1000000", "EUR", "1000000.00"),
        ("1.234", "KWD", "1.234"),
        ("1500.00", "JPY", "1500.00"),
        ("0.30000", "USD", "0.30"),
    ] {
        let mut pet = wanda();
        (pet["price"], pet["currency"]) = (json!(sent), json!(currency));
        let pet = created(&shop.send("POST", "/api/pets", &[], &pet).await);
        let order = created(&shop.send("POST", "/api/orders", &[], &json!({"petId": pet["id"]})).await);
        let read = ok(&shop.get(&pet_path(&pet)).await);
        for one in [pet, order, read] {
            assert_eq!((one["price"].as_str(), one["currency"].as_str()), (Some(shown), Some(currency)));
        }
    }
}
