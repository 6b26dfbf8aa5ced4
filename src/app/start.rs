//! The start of the server, as a list: open the adapters, build the state, serve.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::AppError;
use super::adapters::{Listeners, open_authentication, open_events, open_pets, open_store, sweep};
use super::background::BackgroundTasks;
use super::running::{Lifetime, Running};
use super::secret_files::SecretFiles;
use super::server::Server;
use super::state::{self, Adapters};
use super::workers::Workers;
use crate::api::{self, AppState, open_router};
use crate::config::{Config, Limits};
use crate::limiter::{Clock, Limiter};
use crate::time::Shutdown;
use crate::usage::UsageRecorder;
use crate::web;

/// Most connections to the metrics listener: a few scrapers and probes.
const MAX_METRICS_CONNECTIONS: usize = 64;

/// Opens everything and begins to serve.
///
/// # Errors
/// [`AppError`], whose text names the setting to change.
pub async fn start(config: Config) -> Result<Running, AppError> {
    start_with(config, Clock::real()).await
}

/// As [`start`], with a clock for the rate limits: tests move it by hand.
///
/// # Errors
/// As [`start`].
pub async fn start_with(config: Config, clock: Clock) -> Result<Running, AppError> {
    let config = config.with_shares();
    let listeners = Listeners::bind(&config)?;
    preload(config.page);
    let tasks = BackgroundTasks::default();
    let shutdown = tasks.shutdown.clone();

    // Adapters.
    let store_error = |error| AppError::Store(config.database.clone(), error);
    let store = open_store(&config, &tasks).await.map_err(store_error)?;
    let pets = open_pets(&config, &store).await.map_err(store_error)?;
    let (authenticator, first_key) = open_authentication(&config, &store, &clock, &tasks).await?;
    let events = open_events(&config, &store, &pets, &tasks).await.map_err(store_error)?;
    let (usage, writer) = UsageRecorder::new(store.clone(), config.accounting.keep);
    let usage_writer = tokio::spawn(writer.run(shutdown.disconnected.token().clone()));

    // State, and the tasks that need all of it.
    let adapters = Adapters { store: store.clone(), pets, events, usage };
    let state = state::build(&config, adapters, &shutdown)?;
    let secret_files = SecretFiles::new(authenticator.keyring(), &config.keys, &state.routes);
    tasks.spawn_until_disconnected(state.stats.clone().run());
    tasks.spawn_until_disconnected(secret_files.watch());
    tasks.spawn_until_stop(sweep(Arc::clone(&state.routes)));

    // Servers.
    let (address, metrics_address) =
        (listeners.main.address, listeners.metrics.as_ref().map(|metrics| metrics.address));
    let workers = Workers::start(config.threads).map_err(AppError::Threads)?;
    let metrics_server = match listeners.metrics {
        Some(metrics) => Some(metrics_server(metrics.listener, Arc::clone(&state), &config, &shutdown)?),
        None => None,
    };
    let limiter = Limiter::new(config.limits.total, clock);
    let api = api::service(state, authenticator, limiter, config.allow_origins);
    let routes = api.routes().to_vec();
    let server = Server::new(listeners.main.listener, api, &config.limits, workers, shutdown.clone());

    let lifetime = Lifetime { server, drain: config.drain, metrics_server, usage_writer, tasks, store };
    let done = tokio::spawn(lifetime.run());
    Ok(Running { address, metrics_address, first_key, routes, shutdown, done })
}

/// Initializes in the background what takes long, so that neither the start nor the first requests wait for all of it.
fn preload(page: bool) {
    std::thread::spawn(move || {
        if page {
            web::warm();
        }
    });
}

/// The server of `metrics.listen`, on a thread of its own. It serves during the drain and until usage records are
/// written, so that the whole shutdown can be observed.
fn metrics_server(
    listener: tokio::net::TcpListener,
    state: Arc<AppState>,
    config: &Config,
    shutdown: &Shutdown,
) -> Result<Server, AppError> {
    let workers = Workers::start(NonZeroUsize::MIN).map_err(AppError::Threads)?;
    let limits = Limits { connections: MAX_METRICS_CONNECTIONS, ..config.limits };
    let shutdown = Shutdown { stop: shutdown.flushed.clone(), ..Shutdown::default() };
    Ok(Server::new(listener, open_router(state).into(), &limits, workers, shutdown))
}
