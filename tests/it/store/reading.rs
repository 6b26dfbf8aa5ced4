//! Lists and counts, the access to them, and the same data in the local model and the command line.

use serde_json::{Value, json};

use super::{JSON, Shop, created, ok, pet_path, problem, wanda};
use crate::server::Server;
use test_support::http::Request;

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
            // A change between two pages is after the cursor that the pages repeat.
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
        // A presented key decides, even where no key is required.
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
async fn prices_are_exact_from_end_to_end() {
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
