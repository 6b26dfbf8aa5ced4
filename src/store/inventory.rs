//! The inventory: counts over the table of pets, and their version.

use sqlx::{Row as _, SqliteConnection};

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
        sqlx::query("UPDATE inventory SET version = version + 1").execute(self.connection()).await?;
        select(self.connection()).await
    }
}

async fn select(connection: &mut SqliteConnection) -> Result<Inventory, StoreError> {
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
