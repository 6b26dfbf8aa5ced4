//! The start of the server, as a list: open the adapters, build the state, serve.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::AppError;
use super::adapters::{open_authentication, open_events, open_pets, open_store, sweep};
use super::background::BackgroundTasks;
use super::first_key::make_first_key;
use super::listen::{InheritedSockets, Listener, Listeners};
use super::running::{Lifetime, Running};
use super::secret_files::SecretFiles;
use super::server::{Server, Serving};
use super::state::{self, Adapters};
use super::tls_files::TlsWatcher;
use super::workers::Workers;
use crate::api::{self, AppState, open_router};
use crate::config::{Config, Limits};
use crate::limiter::{Clock, Limiter};
use crate::time::Shutdown;
use crate::usage::UsageRecorder;
use crate::web;

/// Most connections to the metrics listener: a few scrapers and probes.
const MAX_METRICS_CONNECTIONS: usize = 64;

/// Opens everything and begins to serve; `inherited` are the sockets that systemd has passed.
///
/// # Errors
/// [`AppError`], whose text names the setting to change.
pub async fn start(config: Config, inherited: InheritedSockets) -> Result<Running, AppError> {
    start_with(config, inherited, Clock::real()).await
}

/// As [`start`], with a clock for the rate limits: tests move it by hand.
///
/// # Errors
/// As [`start`].
pub async fn start_with(config: Config, inherited: InheritedSockets, clock: Clock) -> Result<Running, AppError> {
    let config = config.with_shares();
    let listeners = Listeners::bind(&config, inherited)?;
    preload(config.page);
    let tasks = BackgroundTasks::default();
    let shutdown = tasks.shutdown.clone();

    // Adapters.
    let store_error = |error| AppError::Store(config.database.clone(), error);
    let store = open_store(&config, &tasks).await.map_err(store_error)?;
    let pets = open_pets(&config, &store).await.map_err(store_error)?;
    let authenticator = open_authentication(&config, &store, &clock, &tasks).await?;
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
    tasks.spawn_until_stop(TlsWatcher::new(&listeners.main).watch());

    // Servers.
    let addresses = listeners.main.iter().map(|listener| listener.address.clone()).collect();
    let metrics_address = listeners.metrics.as_ref().and_then(|metrics| metrics.address.tcp());
    let workers = Workers::start(config.threads).map_err(AppError::Threads)?;
    let metrics_server = match listeners.metrics {
        Some(metrics) => Some(metrics_server(metrics, Arc::clone(&state), &config, &shutdown)?),
        None => None,
    };
    // Last: a start that fails must not make a key whose secret nobody has seen.
    let first_key = make_first_key(&config, &store, authenticator.keyring()).await?;
    let limiter = Limiter::new(config.limits.total, clock);
    let api = api::service(state, authenticator, limiter, config.allow_origins, config.trusted_proxies);
    let routes = api.routes().to_vec();
    let serving = Serving { api, limits: &config.limits, connection_age: config.connection_age };
    let server = Server::new(listeners.main, serving, workers, shutdown.clone());

    let lifetime = Lifetime { server, drain: config.drain, metrics_server, usage_writer, tasks, store };
    let done = tokio::spawn(lifetime.run());
    Ok(Running { addresses, metrics_address, first_key, routes, shutdown, done })
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
    listener: Listener,
    state: Arc<AppState>,
    config: &Config,
    shutdown: &Shutdown,
) -> Result<Server, AppError> {
    let workers = Workers::start(NonZeroUsize::MIN).map_err(AppError::Threads)?;
    let limits = Limits { connections: MAX_METRICS_CONNECTIONS, ..config.limits };
    let shutdown = Shutdown { stop: shutdown.flushed.clone(), ..Shutdown::default() };
    let serving = Serving { api: open_router(state).into(), limits: &limits, connection_age: None };
    Ok(Server::new(vec![listener], serving, workers, shutdown))
}
