//! Commands about pets: their changes of the tables and of the event log.

use serde_json::{Value, json};

use super::*;
use crate::store::Store;
use crate::store::event_log::{EventLog, LoggedEvent};
use crate::wire::event::{EventKind, Topics};
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::pet::{Gender, Size, Species, Status};

pub(in crate::petstore) fn fields() -> PetFields {
    PetFields {
        species: Species::Fish,
        name: "Wanda".to_owned(),
        breed: "Angelfish".to_owned(),
        age_months: 3,
        size: Size::Small,
        color: "silver".to_owned(),
        gender: Gender::Female,
        good_with_kids: true,
        price: "19.9".parse().unwrap(),
        currency: "USD".to_owned(),
        description: "Line one\nline \"two\".".to_owned(),
        status: Status::Available,
    }
}

pub(in crate::petstore) async fn empty() -> (Store, PetStore) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    (store.clone(), PetStore::new(store))
}

/// Creates a pet.
pub(in crate::petstore) async fn new_pet(pets: &PetStore) -> Pet {
    pets.create_pet("me", fields(), None).await.unwrap().value
}

/// All events of the log after number `after`.
pub(in crate::petstore) async fn events_after(store: &Store, after: u64) -> Vec<LoggedEvent> {
    EventLog::new(store.clone()).page(Topics::ALL, after, u64::MAX >> 1, 1_000).await.unwrap()
}

pub(in crate::petstore) fn kinds(events: &[LoggedEvent]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

pub(in crate::petstore) fn body(event: &LoggedEvent) -> Value {
    serde_json::from_str(&format!("{{{}}}", event.body)).unwrap()
}

fn priced(price: &str, currency: &str) -> PetEdit {
    PetEdit { price: Some(price.parse().unwrap()), currency: Some(currency.to_owned()), ..PetEdit::default() }
}

#[tokio::test]
async fn a_new_pet_makes_an_event_with_the_pet_and_one_with_the_counts() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    assert_eq!(pets.get(pet.id).await.unwrap(), Some(pet.clone()));
    assert_eq!((pet.version, pet.price.to_string().as_str()), (1, "19.90"));
    let events = events_after(&store, 0).await;
    assert_eq!(kinds(&events), [EventKind::PetUpdate, EventKind::InventoryChanged]);
    assert_eq!((events[0].id.as_str(), events[0].version), (pet.id.to_string().as_str(), 1));
    assert_eq!(body(&events[0]), json!({"resource": pet}));
    assert_eq!(events[0].at, pet.created_at);
    let counts = pets.inventory().await.unwrap();
    assert_eq!(body(&events[1]), json!({"resource": counts.value}));
    assert_eq!((events[1].id.as_str(), events[1].version), ("inventory", counts.value.version));
    assert_eq!((counts.cursor.seq, counts.value.total, counts.value.available(Species::Fish)), (2, 1, 1));
}

#[tokio::test]
async fn an_edit_makes_one_event_of_the_pet_and_one_of_the_inventory_if_a_count_changed() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    let mut seen = 2;
    let name = PetEdit { name: Some("Nemo".to_owned()), ..PetEdit::default() };
    let both = PetEdit { status: Some(Status::Pending), age_months: Some(4), ..PetEdit::default() };
    let species = PetEdit { species: Some(Species::Other), ..PetEdit::default() };
    let cases = [
        (name, vec![EventKind::PetUpdate], json!({})),
        (
            both,
            vec![EventKind::PetStatusChanged, EventKind::InventoryChanged],
            json!({"old": "AVAILABLE", "new": "PENDING"}),
        ),
        (species, vec![EventKind::PetUpdate, EventKind::InventoryChanged], json!({})),
    ];
    for (version, (edit, expected, mut words)) in (2..).zip(cases) {
        let after = pets.edit_pet(pet.id, edit, &ExpectedVersion::Any).await.unwrap();
        assert_eq!((after.version, Some(&after)), (version, pets.get(pet.id).await.unwrap().as_ref()));
        let events = events_after(&store, seen).await;
        seen += events.len() as u64;
        assert_eq!(kinds(&events), expected);
        words["resource"] = serde_json::to_value(&after).unwrap();
        assert_eq!(body(&events[0]), words);
        assert_eq!(events[0].version, version);
    }
}

#[tokio::test]
async fn an_edit_that_changes_nothing_makes_no_event_and_no_version() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    let same = PetEdit { name: Some("Wanda".to_owned()), status: Some(Status::Available), ..priced("19.900", "USD") };
    for edit in [PetEdit::default(), same] {
        assert_eq!(pets.edit_pet(pet.id, edit, &ExpectedVersion::OneOf(vec![1])).await.unwrap(), pet);
    }
    assert_eq!(events_after(&store, 2).await, []);
    assert_eq!(*pets.commit_notifications().borrow(), 2);
}

#[tokio::test]
async fn a_deletion_makes_an_event_with_the_next_version_and_no_resource() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    pets.delete_pet(pet.id, &ExpectedVersion::OneOf(vec![3, 1])).await.unwrap();
    assert_eq!(pets.get(pet.id).await.unwrap(), None);
    let events = events_after(&store, 2).await;
    assert_eq!(kinds(&events), [EventKind::PetUpdate, EventKind::InventoryChanged]);
    assert_eq!((events[0].version, body(&events[0])), (2, json!({"resource": null})));
    assert_eq!(body(&events[1])["resource"]["total"], 0);
    assert!(
        matches!(pets.delete_pet(pet.id, &ExpectedVersion::Any).await, Err(CommandError::NoPet(id)) if id == pet.id)
    );
}

#[tokio::test]
async fn a_refused_command_changes_nothing_and_makes_no_event() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    let stale = ExpectedVersion::OneOf(vec![2, 7]);
    let status = PetEdit { status: Some(Status::Adopted), ..PetEdit::default() };
    assert!(matches!(pets.edit_pet(pet.id, status, &stale).await, Err(CommandError::VersionMismatch { current: 1 })));
    assert!(matches!(pets.delete_pet(pet.id, &stale).await, Err(CommandError::VersionMismatch { current: 1 })));
    let yen = PetEdit { currency: Some("JPY".to_owned()), ..PetEdit::default() };
    assert!(matches!(
        pets.edit_pet(pet.id, yen, &ExpectedVersion::Any).await,
        Err(CommandError::TooManyDecimals { max: 0, .. })
    ));
    let edit = priced("1.999", "USD");
    assert!(matches!(
        pets.edit_pet(pet.id, edit, &ExpectedVersion::Any).await,
        Err(CommandError::TooManyDecimals { max: 2, .. })
    ));
    let dear = PetFields { price: "0.001".parse().unwrap(), ..fields() };
    assert!(matches!(pets.create_pet("me", dear, None).await, Err(CommandError::TooManyDecimals { .. })));
    assert_eq!(pets.get(pet.id).await.unwrap(), Some(pet));
    assert_eq!(pets.count(&PetFilter::default()).await.unwrap(), 1);
    assert_eq!(events_after(&store, 2).await, []);
}

#[tokio::test]
async fn a_species_that_runs_low_is_notified_once_until_it_has_recovered() {
    let (store, pets) = empty().await;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(new_pet(&pets).await.id);
    }
    let change = async |id: uuid::Uuid, status| {
        let seen = *pets.commit_notifications().borrow();
        let edit = PetEdit { status: Some(status), ..PetEdit::default() };
        pets.edit_pet(id, edit, &ExpectedVersion::Any).await.unwrap();
        events_after(&store, seen).await.into_iter().find(|event| event.kind == EventKind::Notification)
    };
    assert_eq!(change(all[0], Status::Pending).await, None, "three are left");
    let event = change(all[1], Status::Adopted).await.unwrap();
    assert_eq!((event.version, uuid::Uuid::try_parse(&event.id).unwrap().get_version_num()), (1, 7));
    let resource = json!({"level": "warning", "message": "FISH is running low: 2 are available.", "species": "FISH",
        "available": 2});
    assert_eq!(body(&event), json!({"resource": resource}));
    assert_eq!(change(all[2], Status::Pending).await, None, "it was low before");
    assert_eq!(change(all[2], Status::Available).await, None);
    assert_eq!(change(all[1], Status::Available).await, None, "three again");
    assert!(change(all[1], Status::Pending).await.is_some(), "and low again");
}

#[tokio::test]
async fn a_notification_is_sent_at_the_configured_number() {
    let (store, pets) = empty().await;
    let pets = pets.with_low_stock(0);
    let pet = new_pet(&pets).await;
    pets.delete_pet(pet.id, &ExpectedVersion::Any).await.unwrap();
    let events = events_after(&store, 2).await;
    assert_eq!(kinds(&events), [EventKind::PetUpdate, EventKind::InventoryChanged, EventKind::Notification]);
    assert_eq!(body(&events[2])["resource"]["level"], "critical");
}

#[tokio::test]
async fn commits_are_notified_and_those_of_other_processes_too() {
    let (store, pets) = empty().await;
    let mut notifications = pets.commit_notifications();
    assert_eq!(*notifications.borrow_and_update(), 0);
    new_pet(&pets).await;
    assert!(notifications.has_changed().unwrap());
    assert_eq!(*notifications.borrow_and_update(), events_after(&store, 0).await.last().unwrap().seq);
    pets.notify_commit();
    assert!(notifications.has_changed().unwrap());
    assert_eq!(*notifications.borrow_and_update(), 2, "the last one of this process");
    new_pet(&pets).await;
    assert_eq!(*notifications.borrow_and_update(), 4);
}

#[tokio::test]
async fn a_list_has_the_cursor_that_it_is_consistent_with() {
    let (_store, pets) = empty().await;
    new_pet(&pets).await;
    let page = pets.list(&PetFilter::default(), Sort::Name, 20, None).await.unwrap();
    assert_eq!((page.cursor.seq, page.value.pets.len()), (2, 1));
}

fn key(key: &str, request: &str) -> IdempotencyKey {
    IdempotencyKey { caller: "me".to_owned(), key: key.to_owned(), request: request.to_owned() }
}

#[tokio::test]
async fn a_repeated_key_returns_the_pet_as_it_was_created() {
    let (store, pets) = empty().await;
    let first = pets.create_pet("me", fields(), Some(&key("k", "r"))).await.unwrap();
    assert!(!first.replayed);
    let edit = PetEdit { name: Some("Nemo".to_owned()), ..PetEdit::default() };
    pets.edit_pet(first.value.id, edit, &ExpectedVersion::Any).await.unwrap();
    let seen = *pets.commit_notifications().borrow();
    let again = pets.create_pet("me", fields(), Some(&key("k", "r"))).await.unwrap();
    assert_eq!((again.replayed, &again.value), (true, &first.value));
    assert_eq!(serde_json::to_string(&again.value).unwrap(), serde_json::to_string(&first.value).unwrap());
    assert_eq!(events_after(&store, seen).await, []);
    assert!(matches!(pets.create_pet("me", fields(), Some(&key("k", "other"))).await, Err(CommandError::KeyReused)));
    let other = IdempotencyKey { caller: "you".to_owned(), ..key("k", "other") };
    assert!(!pets.create_pet("me", fields(), Some(&other)).await.unwrap().replayed);
}

#[tokio::test]
async fn keys_expire_after_a_day() {
    let (store, pets) = empty().await;
    pets.create_pet("me", fields(), Some(&key("k", "r"))).await.unwrap();
    let back = |millis: i64| {
        let store = store.clone();
        async move {
            store.execute_raw(&format!("UPDATE idempotency_keys SET at = at - {millis}")).await.unwrap();
        }
    };
    back(23 * 60 * 60 * 1_000).await;
    assert!(pets.create_pet("me", fields(), Some(&key("k", "r"))).await.unwrap().replayed);
    back(60 * 60 * 1_000).await;
    assert!(!pets.create_pet("me", fields(), Some(&key("k", "another"))).await.unwrap().replayed);
}
