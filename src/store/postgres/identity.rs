//! The lock that orders commands, and the history of the server that holds it.
//!
//! After a failover the new primary may lack the last commits of the old one, and would give out their event numbers a
//! second time. So the head of the log names the cluster and its timeline, which a promotion increases. The first
//! command that finds another name there begins a new epoch: every earlier cursor then leads to a reset.

use jiff::Timestamp;
use sqlx::PgConnection;

use super::health::PostgresHealth;
use crate::store::database::Executor;
use crate::store::epoch::random_epoch;
use crate::store::error::StoreError;

/// The system identifier and the timeline, such as `7412345678901234567/00000001`. On a standby, which has no current
/// position to write at, the function fails.
pub(in crate::store) const IDENTITY: &str = "(SELECT system_identifier FROM pg_control_system()) || '/' || \
                                   substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";

/// Waits until all commands before have ended, and begins a new epoch if the server has another history. Returns the time
/// of the server after the wait: it orders commands of servers whose clocks differ.
pub(in crate::store) async fn lock_head(
    connection: &mut PgConnection,
    health: &PostgresHealth,
    has_identity: bool,
) -> Result<Timestamp, StoreError> {
    // The time is read after the lock was taken, not before the wait.
    let identity = if has_identity { IDENTITY } else { "identity" };
    let sql = format!(
        "WITH head AS MATERIALIZED (SELECT identity FROM event_head FOR UPDATE) \
         SELECT identity, {identity}, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM head"
    );
    let mut executor = Executor::Postgres(connection, health);
    let row = executor.again().built(sql).fetch_one().await?;
    let (known, identity): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
    let at = Timestamp::from_millisecond(row.get(2)?);
    let at = at.map_err(|error| StoreError::Corrupt(format!("the time of the server: {error}")))?;
    if known != identity {
        let epoch = random_epoch();
        let first = known.is_none();
        let query =
            executor.query("UPDATE event_head SET identity = $1, epoch = CASE WHEN $2 = 1 THEN epoch ELSE $3 END");
        query.bind(identity).bind(i64::from(first)).bind(epoch).execute().await?;
        if !first {
            tracing::warn!("Postgres has failed over: events begin a new epoch, and subscribers read everything again");
        }
    }
    Ok(at)
}
