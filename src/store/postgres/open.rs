//! Opening a Postgres database: connections, migrations, and errors that name the server and what to do.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::Instant;

use super::health::{ACQUIRE_TIMEOUT, PostgresHealth};
use super::identity::IDENTITY;
use super::migrations::migrator;
use crate::config::Database;
use crate::store::error::StoreError;

/// Most connections of one kind, unless configured.
const DEFAULT_CONNECTIONS: u32 = 4;
/// A connection that was idle for longer is tested before use.
const TEST_AFTER: Duration = Duration::from_secs(1);
/// Longest migration.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The oldest version whose behaviour is tested.
const OLDEST_VERSION: i32 = 15;

/// Connections to an open database.
#[derive(Debug)]
pub(in crate::store) struct Postgres {
    pub(in crate::store) reader: PgPool,
    pub(in crate::store) writer: PgPool,
    pub(in crate::store) health: Arc<PostgresHealth>,
    /// Whether the server tells its identity; some managed ones do not.
    pub(in crate::store) has_identity: bool,
    /// Past a pooler, for what needs a connection of its own.
    pub(super) direct: PgConnectOptions,
}

impl Postgres {
    /// Connects, and runs the migrations.
    ///
    /// # Errors
    /// [`StoreError::Server`], whose text names the server and what to do, without the password.
    pub(in crate::store) async fn open(database: &Database) -> Result<Self, StoreError> {
        let options = options_of(&database.url)?;
        let direct = database.direct_url.as_deref().map_or_else(|| Ok(options.clone()), options_of)?;
        migrate(database).await?;
        let mut connection = connect(&direct).await?;
        let has_identity = has_identity(&mut connection, &direct).await?;
        let _ = connection.close().await;
        let health = Arc::new(PostgresHealth::new(database.direct_url.is_some()));
        let pool = async |connections| {
            let pool = pool(connections, &health).connect_with(options.clone()).await;
            pool.map_err(|error| StoreError::Server(place(&options), describe(&error)))
        };
        let (reader, writer) = (pool(database.read_connections).await?, pool(database.write_connections).await?);
        Ok(Self { reader, writer, health, has_identity, direct })
    }
}

impl Postgres {
    /// Asks the server whether it can be written, and records the answer.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(in crate::store) async fn probe(&self) -> Result<(), StoreError> {
        let asked = tokio::time::timeout(ACQUIRE_TIMEOUT * 2, async {
            let mut connection = self.reader.acquire().await?;
            refuse_standby(&mut connection).await
        });
        let asked = asked.await.map_or(Err(StoreError::TimedOut), |asked| asked.map_err(StoreError::from));
        self.health.record(&asked);
        asked
    }
}

/// Runs the migrations. Of several servers that start at once, one runs them, and the others wait.
///
/// # Errors
/// [`StoreError::Server`]
async fn migrate(database: &Database) -> Result<(), StoreError> {
    let options = options_of(database.direct_url.as_deref().unwrap_or(&database.url))?;
    let mut connection = connect(&options).await?;
    let error = |problem| StoreError::Server(place(&options), problem);
    check_server(&mut connection).await.map_err(error)?;
    // That a table is there already is no news.
    let quiet = sqlx::query("SET client_min_messages = warning").execute(&mut connection).await;
    quiet.map_err(|cause| error(describe(&cause)))?;
    let migrator = migrator();
    let migrated = tokio::time::timeout(MIGRATION_TIMEOUT, migrator.run(&mut connection)).await;
    let migrated = migrated.map_err(|_| error("the migrations took longer than ten minutes".to_owned()))?;
    migrated.map_err(|cause| error(describe_migration(&cause)))?;
    let _ = connection.close().await;
    Ok(())
}

fn options_of(url: &str) -> Result<PgConnectOptions, StoreError> {
    // A pooler refuses settings at the start of a connection that it does not know. Floating-point numbers are not used.
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        StoreError::Server("the URL of Postgres".to_owned(), format!("it can't be parsed: {error}"))
    })?;
    let options = options.extra_float_digits(None).application_name("petstream");
    Ok(options.disable_statement_logging())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let connected = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await;
    let timed_out = || {
        StoreError::Server(
            place(options),
            "no answer within 5 s; is it running, and can it be reached from here?".to_owned(),
        )
    };
    connected.map_err(|_| timed_out())?.map_err(|error| StoreError::Server(place(options), describe(&error)))
}

/// Host, port and database, without user and password.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("Postgres at {}, database {database}", socket.display()),
        None => format!("Postgres at {}:{}, database {database}", options.get_host(), options.get_port()),
    }
}

/// Refuses servers that are too old or that can't be written.
async fn check_server(connection: &mut PgConnection) -> Result<(), String> {
    let sql =
        "SELECT current_setting('server_version_num')::int / 10000, current_setting('transaction_read_only') = 'on'";
    let (version, read_only): (i32, bool) =
        sqlx::query_as(sql).fetch_one(connection).await.map_err(|error| describe(&error))?;
    if version < OLDEST_VERSION {
        return Err(format!("it has version {version}; at least version {OLDEST_VERSION} is needed"));
    }
    if read_only {
        return Err("it is a standby, or read-only; name the primary".to_owned());
    }
    Ok(())
}

async fn has_identity(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, StoreError> {
    let identity: Result<String, _> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT {IDENTITY}"))).fetch_one(connection).await;
    match identity {
        Ok(_) => Ok(true),
        // A managed service may hide the functions.
        Err(sqlx::Error::Database(error)) => {
            tracing::warn!(
                %error,
                "Postgres does not tell its timeline: after a failover that has lost commits, run `petstream epoch rotate`"
            );
            Ok(false)
        }
        Err(error) => Err(StoreError::Server(place(options), describe(&error))),
    }
}

fn pool(connections: Option<u32>, health: &Arc<PostgresHealth>) -> PgPoolOptions {
    let health = Arc::clone(health);
    PgPoolOptions::new()
        .max_connections(connections.unwrap_or(DEFAULT_CONNECTIONS))
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(move |connection, times| test(Arc::clone(&health), connection, &times))
        .after_connect(|connection, _| Box::pin(refuse_standby(connection)))
}

/// Whether a connection may be used: one that was idle must answer, and lead to a server that can be written.
fn test<'c>(
    health: Arc<PostgresHealth>,
    connection: &'c mut PgConnection,
    times: &PoolConnectionMetadata,
) -> BoxFuture<'c, Result<bool, sqlx::Error>> {
    let (connected, idle_for) = (Instant::now().checked_sub(times.age), times.idle_for);
    Box::pin(async move {
        if connected.is_none_or(|connected| health.is_outdated(connected)) {
            return Ok(false);
        }
        if idle_for < TEST_AFTER {
            return Ok(true);
        }
        Ok(matches!(tokio::time::timeout(ACQUIRE_TIMEOUT, refuse_standby(connection)).await, Ok(Ok(()))))
    })
}

async fn refuse_standby(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "SELECT current_setting('transaction_read_only') = 'on'";
    // One round trip, which every pooler passes on.
    let row = sqlx::Executor::fetch_one(connection, sql).await?;
    match sqlx::Row::try_get(&row, 0)? {
        false => Ok(()),
        true => Err(sqlx::Error::Protocol("the server is a standby, or read-only".to_owned())),
    }
}

const CHECK_TLS: &str = "check sslmode and sslrootcert in the URL, and the certificate of the server";

/// Describes why a server can't be used, and what to do.
fn describe(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
    let remedy = match (code.as_deref(), error) {
        (Some("28P01" | "28000"), _) => "check user, password and pg_hba.conf",
        (Some("3D000"), _) => "create the database, or name another",
        (Some("42501"), _) => "let this user create tables in the schema",
        (Some("53300"), _) => "raise max_connections, or lower database.read_connections and write_connections",
        (Some("57P03"), _) => "it is starting or stopping; try again",
        (None, sqlx::Error::Tls(_)) => CHECK_TLS,
        // As rustls reports a certificate that it does not accept.
        (None, sqlx::Error::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => CHECK_TLS,
        (None, sqlx::Error::Io(_)) => "is it running, and can it be reached from here?",
        _ => "see the log of the server",
    };
    format!("{error}; {remedy}")
}

fn describe_migration(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => describe(error),
        error => format!("its schema can't be brought up to date: {error}"),
    }
}
