//! The inventory: counts over the table of pets, and their version.

use super::database::Executor;
use super::error::StoreError;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::wire::resource::inventory::Inventory;
use crate::wire::resource::pet::{Species, Status};

impl ReadTransaction {
    pub(crate) async fn inventory(&mut self) -> Result<Inventory, StoreError> {
        select(self.connection()).await
    }
}

impl WriteTransaction {
    /// The inventory in its next version. Called once in a transaction that has changed a count.
    pub(crate) async fn next_inventory(&mut self) -> Result<Inventory, StoreError> {
        self.connection().query("UPDATE inventory SET version = version + 1").execute().await?;
        select(self.connection()).await
    }
}

async fn select(mut connection: Executor<'_>) -> Result<Inventory, StoreError> {
    let corrupt = || StoreError::Corrupt("the counts of the inventory".to_owned());
    let version: i64 = connection.again().query("SELECT version FROM inventory").fetch_value().await?;
    let mut inventory = Inventory::empty(u64::try_from(version).map_err(|_| corrupt())?);
    let counts = connection.query("SELECT species, status, count(*) FROM pets GROUP BY species, status");
    for row in counts.fetch_all().await? {
        let species = Species::from_name(row.get(0)?).ok_or_else(corrupt)?;
        let status = Status::from_name(row.get(1)?).ok_or_else(corrupt)?;
        inventory.add(species, status, u64::try_from(row.get::<i64, _>(2)?).map_err(|_| corrupt())?);
    }
    Ok(inventory)
}
