//! Commands about orders: their changes of the tables and of the event log.

use serde_json::json;

use super::*;
use crate::petstore::pet_commands::tests::{body, empty, events_after, kinds, new_pet};
use crate::wire::resource::order::OrderFilter;
use crate::wire::resource::pet::PetEdit;

async fn status(pets: &PetStore, pet: &Pet) -> Status {
    pets.get(pet.id).await.unwrap().unwrap().status
}

#[tokio::test]
async fn an_order_makes_the_pet_pending_and_keeps_its_price() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    let order = pets.place_order("me", pet.id, None).await.unwrap().value;
    assert_eq!((order.pet_id, order.price, &order.currency, order.version), (pet.id, pet.price, &pet.currency, 1));
    assert_eq!(pets.order(order.id).await.unwrap(), Some(order.clone()));
    let dearer = PetEdit { price: Some("99".parse().unwrap()), ..PetEdit::default() };
    pets.edit_pet(pet.id, dearer, &ExpectedVersion::Any).await.unwrap();
    assert_eq!(pets.order(order.id).await.unwrap(), Some(order.clone()));

    let events = events_after(&store, 2).await;
    let expected =
        [EventKind::OrderCreated, EventKind::PetStatusChanged, EventKind::InventoryChanged, EventKind::PetUpdate];
    assert_eq!(kinds(&events), expected);
    assert_eq!((body(&events[0]), &events[0].id), (json!({"resource": order}), &order.id.to_string()));
    let taken = body(&events[1]);
    assert_eq!((&taken["old"], &taken["new"]), (&json!("AVAILABLE"), &json!("PENDING")));
    assert_eq!((&taken["resource"]["status"], events[1].version), (&json!("PENDING"), 2));
}

#[tokio::test]
async fn every_way_of_an_order_leads_its_pet() {
    use OrderStatus::{Approved, Cancelled, Delivered, Shipped};
    let ways: [(&[OrderStatus], Status); 3] = [
        (&[Approved, Shipped, Delivered], Status::Adopted),
        (&[Cancelled], Status::Available),
        (&[Approved, Cancelled], Status::Available),
    ];
    let (store, pets) = empty().await;
    for (way, end) in ways {
        let pet = new_pet(&pets).await;
        let mut order = pets.place_order("me", pet.id, None).await.unwrap().value;
        for to in way {
            let seen = *pets.commit_notifications().borrow();
            let before = status(&pets, &pet).await;
            let moved =
                pets.move_order(order.id, Some(*to), &ExpectedVersion::OneOf(vec![order.version])).await.unwrap();
            assert_eq!((moved.status, moved.version), (*to, order.version + 1));
            assert_eq!(status(&pets, &pet).await, to.pet());
            let events = events_after(&store, seen).await;
            let words = json!({"resource": moved, "old": order.status.name(), "new": to.name()});
            assert_eq!((events[0].kind, body(&events[0])), (EventKind::OrderStatusChanged, words));
            let pets_too = [EventKind::OrderStatusChanged, EventKind::PetStatusChanged, EventKind::InventoryChanged];
            let expected = if before == to.pet() { &pets_too[..1] } else { &pets_too[..] };
            assert_eq!(kinds(&events), expected);
            order = moved;
        }
        assert_eq!(status(&pets, &pet).await, end);
    }
}

#[tokio::test]
async fn invalid_transitions_are_refused_and_the_same_status_changes_nothing() {
    let (store, pets) = empty().await;
    let order = pets.place_order("me", new_pet(&pets).await.id, None).await.unwrap().value;
    let seen = *pets.commit_notifications().borrow();
    for to in [OrderStatus::Shipped, OrderStatus::Delivered] {
        let refused = pets.move_order(order.id, Some(to), &ExpectedVersion::Any).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("An order that is PLACED can't become {}.", to.name()));
    }
    for same in [None, Some(OrderStatus::Placed)] {
        assert_eq!(pets.move_order(order.id, same, &ExpectedVersion::Any).await.unwrap(), order);
    }
    let stale = pets.move_order(order.id, Some(OrderStatus::Approved), &ExpectedVersion::OneOf(vec![])).await;
    assert!(matches!(stale, Err(CommandError::VersionMismatch { current: 1 })));
    let absent = pets.move_order(Uuid::now_v7(), Some(OrderStatus::Approved), &ExpectedVersion::Any).await;
    assert!(matches!(absent, Err(CommandError::NoOrder(_))));
    assert_eq!(events_after(&store, seen).await, []);
}

#[tokio::test]
async fn a_pet_with_an_open_order_cannot_be_deleted_or_change_its_status() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    let order = pets.place_order("me", pet.id, None).await.unwrap().value;
    let seen = *pets.commit_notifications().borrow();
    for status in [Status::Available, Status::Adopted] {
        let edit = PetEdit { status: Some(status), ..PetEdit::default() };
        let refused = pets.edit_pet(pet.id, edit, &ExpectedVersion::Any).await;
        assert!(matches!(refused, Err(CommandError::OpenOrder(id)) if id == order.id));
    }
    assert!(matches!(pets.delete_pet(pet.id, &ExpectedVersion::Any).await, Err(CommandError::OpenOrder(_))));
    assert!(matches!(pets.place_order("me", pet.id, None).await, Err(CommandError::NotAvailable(Status::Pending))));
    assert!(matches!(pets.place_order("me", Uuid::now_v7(), None).await, Err(CommandError::NoPet(_))));
    assert_eq!(events_after(&store, seen).await, []);
    pets.move_order(order.id, Some(OrderStatus::Cancelled), &ExpectedVersion::Any).await.unwrap();
    pets.delete_pet(pet.id, &ExpectedVersion::Any).await.unwrap();
    assert!(pets.order(order.id).await.unwrap().is_some(), "a closed order stays when its pet is deleted");
}

#[tokio::test]
async fn the_unique_index_refuses_a_second_open_order() {
    let (store, pets) = empty().await;
    let pet = new_pet(&pets).await;
    pets.place_order("me", pet.id, None).await.unwrap();
    store.execute_raw("UPDATE pets SET status = 'AVAILABLE'").await.unwrap();
    assert!(matches!(pets.place_order("me", pet.id, None).await, Err(CommandError::NotAvailable(Status::Pending))));
    assert_eq!(pets.orders(&OrderFilter::default(), 10, None).await.unwrap().value.orders.len(), 1);
}

#[tokio::test]
async fn orders_are_listed_by_page_and_filter() {
    let (_store, pets) = empty().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(pets.place_order("me", new_pet(&pets).await.id, None).await.unwrap().value);
    }
    let moved = pets.move_order(all[3].id, Some(OrderStatus::Approved), &ExpectedVersion::Any).await.unwrap();
    all[3] = moved.clone();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = pets.orders(&OrderFilter::default(), 2, after).await.unwrap().value;
        listed.extend(page.orders);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, all);
    let approved = OrderFilter { status: vec![OrderStatus::Approved], pet: None };
    assert_eq!(pets.orders(&approved, 5, None).await.unwrap().value.orders, [moved]);
    let of_one = OrderFilter { status: Vec::new(), pet: Some(all[1].pet_id) };
    assert_eq!(pets.orders(&of_one, 5, None).await.unwrap().value.orders, all[1..2]);
}
