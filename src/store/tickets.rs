//! The table of tickets, on a database that servers share: a ticket that one server has made is used on another. Times
//! are the database's, since the clocks of servers differ.

use std::time::Duration;

use super::error::StoreError;
use super::handle::Store;
use crate::bound::Exceeded;
use crate::wire::api_key::KeyHash;

/// Milliseconds since 1970 by the clock of the database.
const NOW: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

impl Store {
    /// Stores a ticket of `owner` that is valid for `life`, unless there are `all` unused ones already or `own` of the
    /// owner; several servers that store one at once may exceed these numbers by one each. `sealed` is the hash of the
    /// API key that the ticket stands for, encrypted with the ticket. Expired tickets are deleted.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn issue_ticket(
        &self,
        ticket: KeyHash,
        (owner, sealed): (&str, &str),
        life: Duration,
        [all, own]: [u64; 2],
    ) -> Result<Result<(), Exceeded>, StoreError> {
        let mut transaction = self.begin_independent().await?;
        let delete = transaction.connection().built(format!("DELETE FROM event_tickets WHERE ends_at <= {NOW}"));
        delete.execute().await?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE owner = $1) FROM event_tickets";
        let counts = transaction.connection().query(sql).bind_text(owner).fetch_one().await?;
        let (total, of_owner): (i64, i64) = (counts.get(0)?, counts.get(1)?);
        if of_owner.unsigned_abs() >= own {
            return Ok(Err(Exceeded::Share(own)));
        }
        if total.unsigned_abs() >= all {
            return Ok(Err(Exceeded::Total(all)));
        }
        let sql = format!("INSERT INTO event_tickets (hash, key, owner, ends_at) VALUES ($1, $2, $3, {NOW} + $4)");
        let insert = transaction.connection().built(sql).bind(ticket.to_hex()).bind_text(sealed).bind_text(owner);
        insert.bind(i64::try_from(life.as_millis()).unwrap_or(i64::MAX)).execute().await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// The encrypted hash of the key that a ticket stands for, unless it was used before or has expired. Uses it up.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn redeem_ticket(&self, ticket: KeyHash) -> Result<Option<String>, StoreError> {
        let sql = format!("DELETE FROM event_tickets WHERE hash = $1 AND ends_at > {NOW} RETURNING key");
        let row = self.writable()?.built(sql).bind(ticket.to_hex()).fetch_optional().await?;
        row.map(|row| row.get(0)).transpose()
    }
}
