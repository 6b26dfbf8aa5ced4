//! One change: the new state and the events that tell of it, in one transaction.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::command_error::CommandError;
use super::inventory::{self, Inventory};
use super::order::Order;
use super::pet::{Pet, Species, Status};
use super::{PetStore, row, select, write};
use crate::store::StoreError;
use crate::store::event_log::{self, NewEvent};
use crate::wire::event::Kind;

/// The time, as the database keeps it: in whole milliseconds.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// A transaction that alone may write. Dropped without [`Change::commit`], it changes nothing.
pub(super) struct Change {
    transaction: Transaction<'static, Sqlite>,
    /// When it happens.
    pub(super) at: Timestamp,
    events: Vec<NewEvent>,
    /// Pets that have left a count of the inventory.
    left: Vec<(Species, Status)>,
    /// Pets that have come to one.
    came: Vec<(Species, Status)>,
}

impl Change {
    /// Begins once all changes before it are done.
    pub(super) async fn begin(pets: &PetStore) -> Result<Self, StoreError> {
        let transaction = pets.store.writable()?.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Self { transaction, at: now(), events: Vec::new(), left: Vec::new(), came: Vec::new() })
    }

    /// For statements within the transaction.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// The pet of that id.
    pub(super) async fn pet(&mut self, id: Uuid) -> Result<Pet, CommandError> {
        let row = select::one(id).build().fetch_optional(self.connection()).await?;
        Ok(row::to_pet(&row.ok_or(CommandError::NoPet(id))?)?)
    }

    /// The order of that id.
    pub(super) async fn order(&mut self, id: Uuid) -> Result<Order, CommandError> {
        let row = select::order(id).build().fetch_optional(self.connection()).await?;
        Ok(row::to_order(&row.ok_or(CommandError::NoOrder(id))?)?)
    }

    /// Adds a new pet of `maker`.
    pub(super) async fn add_pet(&mut self, pet: &Pet, maker: &str) -> Result<(), StoreError> {
        write::pets(std::slice::from_ref(pet), Some(maker)).build().execute(self.connection()).await?;
        self.came.push((pet.species, pet.status));
        self.tell(Kind::PetUpdate, pet.id, pet.version, Some(pet), None)
    }

    /// Writes `after` in place of `before` as its next version, which it gives back.
    pub(super) async fn put_pet(&mut self, before: &Pet, mut after: Pet) -> Result<Pet, StoreError> {
        after.version = before.version + 1;
        // A clock that was set back does not make a pet younger.
        after.updated_at = self.at.max(before.updated_at);
        write::update_pet(self.connection(), &after).await?;
        self.left.push((before.species, before.status));
        self.came.push((after.species, after.status));
        if before.status == after.status {
            self.tell(Kind::PetUpdate, after.id, after.version, Some(&after), None)?;
        } else {
            let words = Some((before.status.name(), after.status.name()));
            self.tell(Kind::PetStatusChanged, after.id, after.version, Some(&after), words)?;
        }
        Ok(after)
    }

    /// Deletes a pet. The version of its last event is one that it never had.
    pub(super) async fn remove_pet(&mut self, pet: &Pet) -> Result<(), StoreError> {
        write::delete_pet(self.connection(), pet.id).await?;
        self.left.push((pet.species, pet.status));
        self.tell(Kind::PetUpdate, pet.id, pet.version + 1, None::<&Pet>, None)
    }

    /// Notes an event; `words` are the status before and after.
    pub(super) fn tell(
        &mut self,
        kind: Kind,
        id: impl std::fmt::Display,
        version: u64,
        resource: Option<&impl Serialize>,
        words: Option<(&str, &str)>,
    ) -> Result<(), StoreError> {
        let resource = resource.map(serde_json::to_value).transpose();
        self.events.push(NewEvent {
            kind,
            id: id.to_string(),
            version,
            resource: resource.map_err(|error| StoreError::Corrupt(format!("event of {id}: {error}")))?,
            old: words.map(|(old, _)| old.to_owned()),
            new: words.map(|(_, new)| new.to_owned()),
        });
        Ok(())
    }

    /// Writes the events and commits, then rings the doorbell.
    pub(super) async fn commit(mut self, pets: &PetStore) -> Result<(), StoreError> {
        self.tell_inventory(pets.low_stock).await?;
        let Self { mut transaction, at, events, .. } = self;
        let head = if events.is_empty() { None } else { Some(event_log::append(&mut transaction, at, &events).await?) };
        let store = pets.store.clone();
        let pets = pets.clone();
        // A task of its own: a caller who goes away now must not keep the doorbell from ringing.
        let done = tokio::spawn(async move {
            transaction.commit().await?;
            if let Some(head) = head {
                pets.ring(head);
            }
            Ok::<_, sqlx::Error>(())
        });
        let done = done.await.map_err(|_panicked| sqlx::Error::WorkerCrashed).flatten();
        store.noted(done.map_err(StoreError::from))
    }

    /// Tells of the counts that have changed, and of species that have run low by it.
    async fn tell_inventory(&mut self, low: u32) -> Result<(), StoreError> {
        self.left.sort_unstable();
        self.came.sort_unstable();
        if self.left == self.came {
            return Ok(());
        }
        let counts = inventory::renew(&mut self.transaction).await?;
        self.tell(Kind::InventoryChanged, inventory::ID, counts.version, Some(&counts), None)?;
        for species in Species::ALL {
            if let Some(news) = running_low(&counts, *species, self.was_available(&counts, *species), low.into()) {
                self.tell(Kind::Notification, Uuid::now_v7(), 1, Some(&news), None)?;
            }
        }
        Ok(())
    }

    fn was_available(&self, counts: &Inventory, species: Species) -> u64 {
        let of = |places: &[(Species, Status)]| {
            places.iter().filter(|place| **place == (species, Status::Available)).count() as u64
        };
        (counts.available(species) + of(&self.left)).saturating_sub(of(&self.came))
    }
}

/// News for people, in the shape of its JSON.
#[derive(Debug, Serialize)]
struct News {
    level: &'static str,
    message: String,
    species: Species,
    available: u64,
}

/// Said when the count falls to `low` or below, and not again while it stays there.
fn running_low(counts: &Inventory, species: Species, before: u64, low: u64) -> Option<News> {
    let available = counts.available(species);
    if before <= low || available > low {
        return None;
    }
    let (level, left) = if available == 0 { ("critical", "none is".to_owned()) } else { ("warning", count(available)) };
    let message = format!("{} is running low: {left} available.", species.name());
    Some(News { level, message, species, available })
}

fn count(available: u64) -> String {
    if available == 1 { "1 is".to_owned() } else { format!("{available} are") }
}
