//! The table of orders: every statement about it, and the mapping between its rows and [`Order`].

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, SqliteExecutor};
use uuid::Uuid;

use super::columns::Columns;
use super::conditions::push_names;
use super::error::StoreError;
use super::handle::Store;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::wire::resource::money;
use crate::wire::resource::order::{Order, OrderFilter, OrderPage, OrderStatus};

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
        let mut query = QueryBuilder::new("SELECT * FROM orders WHERE true");
        push_names(&mut query, "status", OrderStatus::ALL, &filter.status, OrderStatus::name);
        for (condition, id) in [("pet_id = ", filter.pet), ("id > ", after)] {
            if let Some(id) = id {
                query.push(" AND ").push(condition).push_bind(id.to_string());
            }
        }
        // One row more than requested shows whether there is a next page.
        query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = query.build().fetch_all(self.connection()).await?;
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
        let sql = "SELECT id FROM orders WHERE pet_id = ? AND status IN ('PLACED', 'APPROVED', 'SHIPPED')";
        let id: Option<String> =
            sqlx::query_scalar(sql).bind(pet.to_string()).fetch_optional(self.connection()).await?;
        let parse = |id: String| Uuid::try_parse(&id);
        let order = id.map(parse).transpose();
        order.map_err(|_| StoreError::Corrupt(format!("the id of the order of pet {pet}")))
    }

    /// Adds an order of `maker`, the id of an API key; returns its row number. A second open order of one pet is
    /// refused with [`StoreError::is_unique_violation`].
    pub(crate) async fn insert_order(&mut self, order: &Order, maker: &str) -> Result<i64, StoreError> {
        let inserted = sqlx::query(
            "INSERT INTO orders (id, pet_id, status, price_e4, currency, created_at, updated_at, version, made_by) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(order.id.to_string())
        .bind(order.pet_id.to_string())
        .bind(order.status.name())
        .bind(money::floor_e4(order.price))
        .bind(&order.currency)
        .bind(order.created_at.as_millisecond())
        .bind(order.updated_at.as_millisecond())
        .bind(order.version.cast_signed())
        .bind(maker)
        .execute(self.connection())
        .await?;
        Ok(inserted.last_insert_rowid())
    }

    /// Overwrites the status, the time of change and the version of the order with this id; nothing else ever changes.
    pub(crate) async fn update_order(&mut self, order: &Order) -> Result<(), StoreError> {
        sqlx::query("UPDATE orders SET status = ?, updated_at = ?, version = ? WHERE id = ?")
            .bind(order.status.name())
            .bind(order.updated_at.as_millisecond())
            .bind(order.version.cast_signed())
            .bind(order.id.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The makers of the orders behind row `row`.
    pub(crate) async fn makers_of_orders_after(&mut self, row: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT made_by FROM orders WHERE rowid > ? AND made_by IS NOT NULL";
        Ok(sqlx::query_scalar(sql).bind(row).fetch_all(self.connection()).await?)
    }

    /// Deletes the oldest closed orders of `maker` until it has at most `keep` orders, or only open ones.
    pub(crate) async fn delete_closed_orders_of(&mut self, maker: &str, keep: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE made_by = ?1 AND \
                   status IN ('DELIVERED', 'CANCELLED') ORDER BY id \
                   LIMIT max(0, (SELECT count(*) FROM orders WHERE made_by = ?1) - ?2))";
        sqlx::query(sql).bind(maker).bind(clamped(keep)).execute(self.connection()).await?;
        Ok(())
    }

    /// As [`Self::delete_closed_orders_of`], for the orders of all makers together.
    pub(crate) async fn delete_closed_orders(&mut self, keep: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE status IN ('DELIVERED', 'CANCELLED') \
                   ORDER BY id LIMIT max(0, (SELECT count(*) FROM orders) - ?))";
        sqlx::query(sql).bind(clamped(keep)).execute(self.connection()).await?;
        Ok(())
    }
}

fn clamped(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn select_order(executor: impl SqliteExecutor<'_>, id: Uuid) -> Result<Option<Order>, StoreError> {
    let query = sqlx::query("SELECT * FROM orders WHERE id = ?").bind(id.to_string());
    query.fetch_optional(executor).await?.as_ref().map(order_of).transpose()
}

fn order_of(row: &SqliteRow) -> Result<Order, StoreError> {
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
