//! The table of orders: every statement about it, and the mapping between its rows and [`Order`].

use uuid::Uuid;

use super::columns::Columns;
use super::conditions::push_names;
use super::database::{Executor, Row};
use super::error::StoreError;
use super::handle::Store;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::wire::resource::money;
use crate::wire::resource::order::{Order, OrderFilter, OrderPage, OrderStatus};

const COLUMNS: &str = "id, pet_id, status, price_e4, currency, created_at, updated_at, version";

impl Store {
    pub(crate) async fn order(&self, id: Uuid) -> Result<Option<Order>, StoreError> {
        select_order(self.reader(), id).await
    }
}

impl ReadTransaction {
    /// At most `limit` (at least 1) orders that match, oldest first, after the order `after`.
    pub(crate) async fn orders(
        &mut self,
        filter: &OrderFilter,
        limit: u32,
        after: Option<Uuid>,
    ) -> Result<OrderPage, StoreError> {
        let limit = limit.max(1);
        let mut query = self.connection().built(format!("SELECT {COLUMNS} FROM orders WHERE true"));
        push_names(&mut query, "status", OrderStatus::ALL, &filter.status, OrderStatus::name);
        for (condition, id) in [("pet_id = ", filter.pet), ("id > ", after)] {
            if let Some(id) = id {
                query.push(" AND ").push(condition).push_bind(id.to_string());
            }
        }
        // One row more than requested shows whether there is a next page.
        query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = query.fetch_all().await?;
        let mut orders = rows.iter().map(order_of).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = orders.len() > limit;
        orders.truncate(limit);
        let next = if has_more { orders.last().map(|order| order.id) } else { None };
        Ok(OrderPage { orders, next })
    }
}

impl WriteTransaction {
    pub(crate) async fn order(&mut self, id: Uuid) -> Result<Option<Order>, StoreError> {
        select_order(self.connection(), id).await
    }

    /// The id of the open order of a pet. There is at most one.
    pub(crate) async fn open_order_of(&mut self, pet: Uuid) -> Result<Option<Uuid>, StoreError> {
        let sql = "SELECT id FROM orders WHERE pet_id = $1 AND status IN ('PLACED', 'APPROVED', 'SHIPPED')";
        let row = self.connection().query(sql).bind(pet.to_string()).fetch_optional().await?;
        let Some(row) = row else { return Ok(None) };
        Uuid::try_parse(row.get(0)?)
            .map(Some)
            .map_err(|_| StoreError::Corrupt(format!("the id of the order of pet {pet}")))
    }

    /// Adds an order of `maker`, the id of an API key; returns its row number. A second open order of one pet is
    /// refused with [`StoreError::is_unique_violation`].
    pub(crate) async fn insert_order(&mut self, order: &Order, maker: &str) -> Result<i64, StoreError> {
        // One transaction writes at a time, so no other one takes this number.
        let query = self.connection().query(
            "INSERT INTO orders \
             (rowid, id, pet_id, status, price_e4, currency, created_at, updated_at, version, made_by) VALUES \
             ((SELECT coalesce(max(rowid), 0) + 1 FROM orders), $1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING rowid",
        );
        query
            .bind(order.id.to_string())
            .bind(order.pet_id.to_string())
            .bind(order.status.name())
            .bind(money::floor_e4(order.price))
            .bind_text(&order.currency)
            .bind(order.created_at.as_millisecond())
            .bind(order.updated_at.as_millisecond())
            .bind(order.version.cast_signed())
            .bind_text(maker)
            .fetch_value()
            .await
    }

    /// Overwrites the status, the time of change and the version of the order with this id; nothing else ever changes.
    pub(crate) async fn update_order(&mut self, order: &Order) -> Result<(), StoreError> {
        let query = self.connection();
        let query = query.query("UPDATE orders SET status = $1, updated_at = $2, version = $3 WHERE id = $4");
        query
            .bind(order.status.name())
            .bind(order.updated_at.as_millisecond())
            .bind(order.version.cast_signed())
            .bind(order.id.to_string())
            .execute()
            .await?;
        Ok(())
    }

    /// The makers of the orders behind row `row`.
    pub(crate) async fn makers_of_orders_after(&mut self, row: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT made_by FROM orders WHERE rowid > $1 AND made_by IS NOT NULL";
        self.connection().query(sql).bind(row).fetch_values().await
    }

    /// Deletes the oldest closed orders of `maker` until it has at most `keep` orders, or only open ones.
    pub(crate) async fn delete_closed_orders_of(&mut self, maker: &str, keep: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE made_by = $1 AND \
                   status IN ('DELIVERED', 'CANCELLED') ORDER BY id \
                   LIMIT (SELECT CASE WHEN count(*) > $2 THEN count(*) - $2 ELSE 0 END FROM orders WHERE made_by = $1))";
        self.connection().query(sql).bind_text(maker).bind(clamped(keep)).execute().await?;
        Ok(())
    }

    /// As [`Self::delete_closed_orders_of`], for the orders of all makers together.
    pub(crate) async fn delete_closed_orders(&mut self, keep: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE status IN ('DELIVERED', 'CANCELLED') \
                   ORDER BY id LIMIT (SELECT CASE WHEN count(*) > $1 THEN count(*) - $1 ELSE 0 END FROM orders))";
        self.connection().query(sql).bind(clamped(keep)).execute().await?;
        Ok(())
    }
}

fn clamped(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn select_order(executor: Executor<'_>, id: Uuid) -> Result<Option<Order>, StoreError> {
    let query = executor.built(format!("SELECT {COLUMNS} FROM orders WHERE id = $1")).bind(id.to_string());
    query.fetch_optional().await?.as_ref().map(order_of).transpose()
}

fn order_of(row: &Row) -> Result<Order, StoreError> {
    let columns = Columns::new(row, "order");
    Ok(Order {
        id: columns.uuid("id")?,
        pet_id: columns.uuid("pet_id")?,
        status: columns.read("status", OrderStatus::from_name)?,
        price: columns.read("price_e4", |price| Some(money::from_e4(price)))?,
        currency: columns.text("currency")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        version: columns.number("version")?,
    })
}
