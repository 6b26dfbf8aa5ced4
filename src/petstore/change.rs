//! One change: new state and the events that report it, in one transaction.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::command_error::CommandError;
use super::commit_notifier::CommitNotifier;
use super::low_stock::low_stock;
use crate::store::event_log::NewEvent;
use crate::store::{Store, StoreError, WriteTransaction};
use crate::wire::event::EventKind;
use crate::wire::resource::inventory::Inventory;
use crate::wire::resource::order::Order;
use crate::wire::resource::pet::{Pet, Species, Status};

/// A time in whole milliseconds, as the database keeps it.
pub(super) fn to_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// A transaction of a command. Dropped without [`Change::commit`], it changes nothing.
pub(super) struct Change {
    pub(super) transaction: WriteTransaction,
    /// Time of the change.
    pub(super) at: Timestamp,
    events: Vec<NewEvent>,
    /// One entry for each pet that left a count of the inventory.
    left: Vec<(Species, Status)>,
    /// One entry for each pet that entered a count.
    entered: Vec<(Species, Status)>,
}

impl Change {
    /// Begins when all changes before it have ended.
    pub(super) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let transaction = store.begin_write().await?;
        let at = to_millis(transaction.at());
        Ok(Self { transaction, at, events: Vec::new(), left: Vec::new(), entered: Vec::new() })
    }

    pub(super) async fn pet(&mut self, id: Uuid) -> Result<Pet, CommandError> {
        self.transaction.pet(id).await?.ok_or(CommandError::NoPet(id))
    }

    pub(super) async fn order(&mut self, id: Uuid) -> Result<Order, CommandError> {
        self.transaction.order(id).await?.ok_or(CommandError::NoOrder(id))
    }

    /// Adds a new pet of `maker`.
    pub(super) async fn add_pet(&mut self, pet: &Pet, maker: &str) -> Result<(), StoreError> {
        self.transaction.insert_pets(std::slice::from_ref(pet), Some(maker)).await?;
        self.entered.push((pet.species, pet.status));
        self.add_event(EventKind::PetUpdate, pet.id, pet.version, Some(pet), None)
    }

    /// Replaces `before` by `after` in the next version, which it returns.
    pub(super) async fn update_pet(&mut self, before: &Pet, mut after: Pet) -> Result<Pet, StoreError> {
        after.version = before.version + 1;
        // The time of change never decreases, even if the clock was set back.
        after.updated_at = self.at.max(before.updated_at);
        self.transaction.update_pet(&after).await?;
        self.left.push((before.species, before.status));
        self.entered.push((after.species, after.status));
        if before.status == after.status {
            self.add_event(EventKind::PetUpdate, after.id, after.version, Some(&after), None)?;
        } else {
            let statuses = Some((before.status.name(), after.status.name()));
            self.add_event(EventKind::PetStatusChanged, after.id, after.version, Some(&after), statuses)?;
        }
        Ok(after)
    }

    /// Deletes a pet. Its last event has the version after the pet's last one.
    pub(super) async fn delete_pet(&mut self, pet: &Pet) -> Result<(), StoreError> {
        self.transaction.delete_pet(pet.id).await?;
        self.left.push((pet.species, pet.status));
        self.add_event(EventKind::PetUpdate, pet.id, pet.version + 1, None::<&Pet>, None)
    }

    /// Adds an event, written at the commit. `statuses` are the status before and after.
    pub(super) fn add_event(
        &mut self,
        kind: EventKind,
        id: impl std::fmt::Display,
        version: u64,
        resource: Option<&impl Serialize>,
        statuses: Option<(&str, &str)>,
    ) -> Result<(), StoreError> {
        let resource = resource.map(serde_json::to_value).transpose();
        self.events.push(NewEvent {
            kind,
            id: id.to_string(),
            version,
            resource: resource.map_err(|error| StoreError::Corrupt(format!("event of {id}: {error}")))?,
            old: statuses.map(|(old, _)| old.to_owned()),
            new: statuses.map(|(_, new)| new.to_owned()),
        });
        Ok(())
    }

    /// Writes the events, commits, and notifies the subscribers of live events, even if the caller is dropped during
    /// the commit. `low` is the number of available pets of a species at which a notification is sent.
    pub(super) async fn commit(mut self, low: u32, notifier: &CommitNotifier) -> Result<(), StoreError> {
        self.add_inventory_events(low).await?;
        let Self { mut transaction, at, events, .. } = self;
        if events.is_empty() {
            return transaction.commit().await;
        }
        let last_event = transaction.append_events(at, &events).await?;
        let notifier = notifier.clone();
        transaction.commit_then(move || notifier.committed(last_event)).await
    }

    /// Adds an event if a count of the inventory has changed, and one for each species that runs low by it.
    async fn add_inventory_events(&mut self, low: u32) -> Result<(), StoreError> {
        self.left.sort_unstable();
        self.entered.sort_unstable();
        if self.left == self.entered {
            return Ok(());
        }
        let counts = self.transaction.next_inventory().await?;
        self.add_event(EventKind::InventoryChanged, Inventory::ID, counts.version, Some(&counts), None)?;
        for species in Species::ALL {
            let before = self.available_before(&counts, *species);
            if let Some(notification) = low_stock(&counts, *species, before, low.into()) {
                self.add_event(EventKind::Notification, Uuid::now_v7(), 1, Some(&notification), None)?;
            }
        }
        Ok(())
    }

    /// The number of available pets of a species before this change.
    fn available_before(&self, counts: &Inventory, species: Species) -> u64 {
        let available =
            |pets: &[(Species, Status)]| pets.iter().filter(|pet| **pet == (species, Status::Available)).count() as u64;
        (counts.available(species) + available(&self.left)).saturating_sub(available(&self.entered))
    }
}
