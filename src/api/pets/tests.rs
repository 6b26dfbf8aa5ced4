//! The routes through the HTTP surface, over the seeded inventory.

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::routing::get;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::api::not_found::method_not_allowed;
use crate::store::Store;

impl FromRef<PetStore> for PublicPath {
    fn from_ref(_: &PetStore) -> Self {
        Self::new("/")
    }
}

async fn seeded() -> (Store, Router) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let pets = PetStore::new(store.clone());
    pets.seed().await.unwrap();
    let list = get(list).fallback(method_not_allowed);
    let one = get(one).fallback(method_not_allowed);
    (store, Router::new().route("/api/pets", list).route("/api/pets/{id}", one).with_state(pets))
}

async fn ask(app: &Router, method: &str, path: &str) -> (StatusCode, header::HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn get_ok(app: &Router, path: &str) -> Value {
    let (status, _, body) = ask(app, "GET", path).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// All pets from `path` on, by following `next` as it stands.
async fn walk(app: &Router, path: &str) -> Vec<Pet> {
    let mut all = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let body = get_ok(app, &path).await;
        let data: Vec<Pet> = serde_json::from_value(body["data"].clone()).unwrap();
        assert!(!data.is_empty() || all.is_empty(), "an empty page at the end: {path}");
        all.extend(data);
        assert!(all.len() < 1_000, "paging does not end");
        next = body["next"].as_str().map(str::to_owned);
    }
    all
}

#[tokio::test]
async fn a_pet_has_the_shape_of_the_contract() {
    let (_store, app) = seeded().await;
    let body = get_ok(&app, "/api/pets?name=baxter").await;
    let pet = &body["data"][0];
    let keys: Vec<_> = pet.as_object().unwrap().keys().map(String::as_str).collect();
    let contract = [
        "id",
        "species",
        "name",
        "breed",
        "ageMonths",
        "size",
        "color",
        "gender",
        "goodWithKids",
        "price",
        "currency",
        "description",
        "status",
        "createdAt",
        "updatedAt",
        "version",
    ];
    assert_eq!(keys, contract);
    assert_eq!((&pet["species"], &pet["price"], &pet["version"]), (&json!("DOG"), &json!("850.00"), &json!(1)));
    assert!(pet["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(body["next"], Value::Null);
    assert_eq!(get_ok(&app, &format!("/api/pets/{}", pet["id"].as_str().unwrap())).await, *pet);
}

#[tokio::test]
async fn following_next_meets_every_pet_once_under_every_order() {
    let (store, app) = seeded().await;
    store.execute_raw("UPDATE pets SET price_e4 = 10000, age_months = 7 WHERE rowid % 2").await.unwrap();
    let mut ids: Vec<_> = walk(&app, "/api/pets?limit=100").await.into_iter().map(|pet| pet.id).collect();
    ids.sort();
    for sort in ["createdAt", "price", "-price", "age", "-age", "name"] {
        for limit in [1, 7, 100] {
            let all = walk(&app, &format!("/api/pets?sort={sort}&limit={limit}")).await;
            let mut met: Vec<_> = all.iter().map(|pet| pet.id).collect();
            met.sort();
            assert_eq!(met, ids, "{sort} by {limit}");
            let sorted = match sort {
                "price" => all.is_sorted_by_key(|pet| pet.price),
                "-price" => all.iter().rev().is_sorted_by_key(|pet| pet.price),
                "age" => all.is_sorted_by_key(|pet| pet.age_months),
                "-age" => all.iter().rev().is_sorted_by_key(|pet| pet.age_months),
                "name" => all.is_sorted_by_key(|pet| pet.name.to_lowercase()),
                _ => all.is_sorted_by_key(|pet| pet.id),
            };
            assert!(sorted, "{sort} by {limit}");
        }
    }
}

#[tokio::test]
async fn the_default_page_has_twenty() {
    let (_store, app) = seeded().await;
    let body = get_ok(&app, "/api/pets").await;
    assert_eq!(body["data"].as_array().unwrap().len(), 20);
    assert!(body["next"].as_str().unwrap().starts_with("/api/pets?after="));
}

#[tokio::test]
async fn every_filter_holds_on_every_page() {
    type Meaning = fn(&Pet) -> bool;
    let (_store, app) = seeded().await;
    let all = walk(&app, "/api/pets").await;
    let cases: [(&str, Meaning); 13] = [
        ("species=DOG,CAT", |pet| matches!(pet.species.name(), "DOG" | "CAT")),
        ("species=dog&species=fish", |pet| matches!(pet.species.name(), "DOG" | "FISH")),
        ("status=PENDING,ADOPTED", |pet| pet.status.name() != "AVAILABLE"),
        ("size=SMALL", |pet| pet.size.name() == "SMALL"),
        ("gender=UNKNOWN", |pet| pet.gender.name() == "UNKNOWN"),
        ("breed=retriever", |pet| pet.breed.contains("Retriever")),
        ("color=black%20and%20white,%20orange", |pet| {
            pet.color.contains("black and white") || pet.color.contains("orange")
        }),
        ("name=Cleo,ziggy", |pet| matches!(pet.name.as_str(), "Cleo" | "Ziggy")),
        ("minPrice=100&maxPrice=165.50", |pet| {
            pet.price >= 100.into() && pet.price <= rust_decimal::Decimal::new(16_550, 2)
        }),
        ("minAge=12&maxAge=24", |pet| (12..=24).contains(&pet.age_months)),
        ("goodWithKids=false", |pet| !pet.good_with_kids),
        ("species=DOG&size=SMALL&maxPrice=200&goodWithKids=true&status=AVAILABLE", |pet| {
            (pet.species.name(), pet.size.name(), pet.status.name()) == ("DOG", "SMALL", "AVAILABLE")
                && pet.price <= 200.into()
                && pet.good_with_kids
        }),
        ("minPrice=2&maxPrice=1", |_| false),
    ];
    for (query, takes) in cases {
        let expected: Vec<_> = all.iter().filter(|pet| takes(pet)).cloned().collect();
        assert_eq!(expected.is_empty(), query == "minPrice=2&maxPrice=1", "{query}");
        assert_eq!(walk(&app, &format!("/api/pets?{query}&limit=2")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn next_works_verbatim_whatever_the_filter_holds() {
    let (store, app) = seeded().await;
    let odd = "50% & más + \"más\" #1 = ?/ü";
    store.execute_raw(&format!("UPDATE pets SET breed = '{odd}'")).await.unwrap();
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("breed", odd).finish();
    let all = walk(&app, "/api/pets").await;
    assert_eq!(walk(&app, &format!("/api/pets?limit=9&{query}")).await, all);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (_store, app) = seeded().await;
    for (query, fields) in [
        ("limit=0", &["limit"] as &[_]),
        ("limit=101", &["limit"]),
        ("limit=1&limit=2", &["limit"]),
        ("colour=red", &["colour"]),
        ("species=DRAGON", &["species"]),
        ("minPrice=1e3", &["minPrice"]),
        ("after=zz", &["after"]),
        ("sort=random&goodWithKids=maybe", &["goodWithKids", "sort"]),
    ] {
        let (status, headers, body) = ask(&app, "GET", &format!("/api/pets?{query}")).await;
        assert_eq!((status, &body["status"]), (StatusCode::BAD_REQUEST, &json!(400)), "{query}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let named: Vec<_> = body["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(named, fields, "{query}");
        assert!(body["detail"].as_str().unwrap().contains(fields[0]), "{body}");
    }
}

#[tokio::test]
async fn a_missing_pet_is_404_and_an_unsupported_method_405() {
    let (_store, app) = seeded().await;
    let absent = format!("/api/pets/{}", Uuid::now_v7());
    for path in [absent.as_str(), "/api/pets/1", "/api/pets/%FF", "/api/pets/%00", "/api/pets/'%20OR%201=1"] {
        let (status, headers, body) = ask(&app, "GET", path).await;
        assert_eq!((status, &body["status"]), (StatusCode::NOT_FOUND, &json!(404)), "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    }
    for path in ["/api/pets", absent.as_str()] {
        let (status, headers, body) = ask(&app, "DELETE", path).await;
        assert_eq!((status, &body["status"]), (StatusCode::METHOD_NOT_ALLOWED, &json!(405)), "{path}");
        assert_eq!(headers[header::ALLOW], "GET,HEAD");
    }
}

#[tokio::test]
async fn hostile_queries_are_never_a_fault_of_the_server() {
    let (_store, app) = seeded().await;
    let token = hex::encode([0xff; 28]);
    let far = hex::encode([0x7f; 40]);
    let long = "a,".repeat(10_000);
    for query in [
        "%",
        "%zz=%zz",
        "=",
        "&&&=&",
        "breed=%00",
        "breed=%FF%FE",
        "name=%27%3B%20DROP%20TABLE%20pets%3B--",
        "maxPrice=79228162514264337593543950335",
        "minPrice=0.0000000000000000000000000001",
        "minPrice=99999999999999999999999999999999",
        "maxAge=4294967295",
        "maxAge=99999999999999999999",
        &format!("after={token}.a.1"),
        &format!("after={far}.a.1&sort=name"),
        &format!("breed={long}"),
        &long.replace(',', "=1&"),
    ] {
        let (status, _, body) = ask(&app, "GET", &format!("/api/pets?{query}")).await;
        assert!(matches!(status.as_u16(), 200 | 400), "{status} {query}");
        assert!(status == 200 || body["errors"].as_array().unwrap().len() <= Problem::MAX_ERRORS);
    }
}

#[tokio::test]
async fn a_broken_row_is_500_without_its_story() {
    let (store, app) = seeded().await;
    store.execute_raw("UPDATE pets SET species = 'UNICORN'").await.unwrap();
    let (status, headers, body) = ask(&app, "GET", "/api/pets").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    assert!(!body.to_string().contains("species"), "{body}");
}
