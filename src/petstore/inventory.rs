//! How many pets there are, of what kind, in which status.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::{Row, SqliteConnection};

use super::pet::{Species, Status};
use crate::store::StoreError;

/// The id of the inventory among resources: there is one.
pub const ID: &str = "inventory";

/// Counts of pets, in the shape of their JSON. Every species and every status is there, be it with 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// All pets.
    pub total: u64,
    /// By status.
    pub by_status: BTreeMap<Status, u64>,
    /// By species.
    pub by_species: BTreeMap<Species, u64>,
    /// By both.
    pub by_species_and_status: BTreeMap<Species, BTreeMap<Status, u64>>,
    /// One more whenever a count changes.
    pub version: u64,
}

impl Inventory {
    fn empty(version: u64) -> Self {
        let statuses: BTreeMap<_, _> = Status::ALL.iter().map(|status| (*status, 0)).collect();
        let of_all = Species::ALL.iter().map(|species| (*species, statuses.clone()));
        Self {
            total: 0,
            by_species: Species::ALL.iter().map(|species| (*species, 0)).collect(),
            by_species_and_status: of_all.collect(),
            by_status: statuses,
            version,
        }
    }

    fn add(&mut self, species: Species, status: Status, count: u64) {
        self.total += count;
        *self.by_status.entry(status).or_default() += count;
        *self.by_species.entry(species).or_default() += count;
        *self.by_species_and_status.entry(species).or_default().entry(status).or_default() += count;
    }

    /// How many of a species can be ordered.
    #[must_use]
    pub fn available(&self, species: Species) -> u64 {
        let statuses = self.by_species_and_status.get(&species);
        statuses.and_then(|statuses| statuses.get(&Status::Available)).copied().unwrap_or(0)
    }
}

/// The counts as `connection` sees them.
pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Inventory, StoreError> {
    let corrupt = || StoreError::Corrupt("the counts of the inventory".to_owned());
    let version: i64 = sqlx::query_scalar("SELECT version FROM inventory").fetch_one(&mut *connection).await?;
    let mut inventory = Inventory::empty(u64::try_from(version).map_err(|_| corrupt())?);
    let counts = sqlx::query("SELECT species, status, count(*) FROM pets GROUP BY species, status");
    for row in counts.fetch_all(connection).await? {
        let species = Species::from_name(row.try_get(0)?).ok_or_else(corrupt)?;
        let status = Status::from_name(row.try_get(1)?).ok_or_else(corrupt)?;
        inventory.add(species, status, u64::try_from(row.try_get::<i64, _>(2)?).map_err(|_| corrupt())?);
    }
    Ok(inventory)
}

/// As [`read`], after a change of the counts: in a new version.
pub(super) async fn renew(connection: &mut SqliteConnection) -> Result<Inventory, StoreError> {
    sqlx::query("UPDATE inventory SET version = version + 1").execute(&mut *connection).await?;
    read(connection).await
}
