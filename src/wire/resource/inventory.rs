//! The inventory: counts of pets by species and status.

use std::collections::BTreeMap;

use serde::Serialize;

use super::pet::{Species, Status};

/// Counts of pets, in the shape of their JSON. Every species and every status is listed, with 0 if there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// All pets.
    pub total: u64,
    /// By status.
    pub by_status: BTreeMap<Status, u64>,
    /// By species.
    pub by_species: BTreeMap<Species, u64>,
    /// By species and status.
    pub by_species_and_status: BTreeMap<Species, BTreeMap<Status, u64>>,
    /// Starts at 1 and grows by one with each change of a count.
    pub version: u64,
}

impl Inventory {
    /// The id of the inventory in events. There is one inventory.
    pub const ID: &str = "inventory";

    /// An inventory in which every count is 0.
    #[must_use]
    pub fn empty(version: u64) -> Self {
        let statuses: BTreeMap<_, _> = Status::ALL.iter().map(|status| (*status, 0)).collect();
        let by_species_and_status = Species::ALL.iter().map(|species| (*species, statuses.clone()));
        Self {
            total: 0,
            by_species: Species::ALL.iter().map(|species| (*species, 0)).collect(),
            by_species_and_status: by_species_and_status.collect(),
            by_status: statuses,
            version,
        }
    }

    /// Adds `count` pets of this species and status to every sum that they belong to.
    pub fn add(&mut self, species: Species, status: Status, count: u64) {
        self.total += count;
        *self.by_status.entry(status).or_default() += count;
        *self.by_species.entry(species).or_default() += count;
        *self.by_species_and_status.entry(species).or_default().entry(status).or_default() += count;
    }

    /// The number of pets of a species that can be ordered.
    #[must_use]
    pub fn available(&self, species: Species) -> u64 {
        let statuses = self.by_species_and_status.get(&species);
        statuses.and_then(|statuses| statuses.get(&Status::Available)).copied().unwrap_or(0)
    }
}
