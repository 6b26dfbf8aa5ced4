//! The start of the server, as a list: open the adapters, build the first generation, serve.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::AppError;
use super::adapters::{open_authentication, open_events, open_pets, open_store, sweep};
use super::background::BackgroundTasks;
use super::first_key::make_first_key;
use super::generation::{CurrentServing, Generation};
use super::listen::{InheritedSockets, Listener, Listeners};
use super::reload::{InForce, Reloader, Shared};
use super::replicas::{join_replicas, open_limiter, open_redis, share_limits};
use super::running::{Lifetime, Running};
use super::secret_files::{self, SecretFiles};
use super::server::Server;
use super::state::{self, Adapters};
use super::tls_files::TlsFilesWatcher;
use super::workers::Workers;
use super::{config_watch, control};
use crate::api::stats::{self, Stats};
use crate::auth::sessions::Sessions;
use crate::config::{Auth, Config, Loaded, Sources};
use crate::limiter::{Clock, SharedLimits};
use crate::middleware::authenticator::Authenticator;
use crate::offload::Offload;
use crate::shared::ReplicaId;
use crate::telemetry::configuration::ConfigurationStatus;
use crate::telemetry::metrics::Metrics;
use crate::time::Shutdown;
use crate::upstream::{CurrentRoutes, Routes};
use crate::usage::UsageRecorder;
use crate::web;

/// Most connections to the metrics listener: a few scrapers and probes.
const MAX_METRICS_CONNECTIONS: usize = 64;

/// How a server is started.
struct Start {
    loaded: Loaded,
    /// Where `loaded` came from; none: the configuration can't be read again.
    sources: Option<Sources>,
    max_connections: usize,
    clock: Clock,
    inherited: InheritedSockets,
}

/// Opens everything and begins to serve `config`, which can't be read again; `inherited` are the sockets that systemd has
/// passed.
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
    let max_connections = config.limits.connections;
    let loaded = Loaded { config, warnings: Vec::new(), file: None, version: None };
    Box::pin(begin(Start { loaded, sources: None, max_connections, clock, inherited })).await
}

/// Opens everything and begins to serve what was `loaded` from `sources`, which are read again at a reload. At most
/// `max_connections` are served at once, if that is less than the configuration allows.
///
/// # Errors
/// As [`start`].
pub async fn start_loaded(
    loaded: Loaded,
    sources: Sources,
    max_connections: usize,
    inherited: InheritedSockets,
) -> Result<Running, AppError> {
    let max_connections = max_connections.min(loaded.config.limits.connections);
    Box::pin(begin(Start { loaded, sources: Some(sources), max_connections, clock: Clock::real(), inherited })).await
}

async fn begin(start: Start) -> Result<Running, AppError> {
    let Start { loaded: Loaded { config, file, version, .. }, sources, max_connections, clock, inherited } = start;
    let (config, can_reload) = (Arc::new(config.with_shares()), sources.is_some());
    let listeners = Listeners::bind(&config, inherited)?;
    preload(config.page);
    let tasks = BackgroundTasks::default();
    let shutdown = tasks.shutdown.clone();
    let Opened { adapters, authenticator, usage_writer, limits } = open(&config, &clock, &tasks).await?;
    let store = adapters.store.clone();
    let keyring = authenticator.keyring().cloned();

    // The first generation.
    let generation = Generation {
        state: state::build(&config, &adapters, adapters.routes.get(), None)?,
        limiter: open_limiter(config.limits.total, clock, limits).await,
        authenticator,
    };
    let files = SecretFiles::new(generation.authenticator.keyring(), &config.keys, &generation.state.routes);
    let secret_files = Arc::new(Mutex::new(files));
    let serving = CurrentServing::new(generation.serving(&config));
    let serving_metrics = CurrentServing::new(generation.serving_metrics(&config));
    let routes = serving.load().api.routes().to_vec();
    let in_force = InForce { config: Arc::clone(&config), generation, has_file: file.is_some(), version };
    let reloader = Reloader::new(Shared {
        adapters,
        serving: serving.clone(),
        serving_metrics: serving_metrics.clone(),
        secret_files: Arc::clone(&secret_files),
        sources,
        tls: listeners.tls(),
        in_force: Mutex::new(in_force),
    });
    tasks.spawn_until_disconnected(secret_files::watch(secret_files));
    tasks.spawn_until_stop(TlsFilesWatcher::new(listeners.tls()).watch());
    if can_reload {
        tasks.spawn_until_stop(config_watch::watch(reloader.clone()));
        if let Some(path) = config.control.path(&config.database) {
            tasks.spawn_until_stop(control::serve(path, reloader.clone()));
        }
    }

    // Servers.
    let addresses = listeners.main.iter().map(|listener| listener.address.clone()).collect();
    let metrics_address = listeners.metrics.as_ref().and_then(|metrics| metrics.address.tcp());
    let workers = Workers::start(config.threads).map_err(AppError::Threads)?;
    let metrics_server = match listeners.metrics {
        Some(metrics) => Some(metrics_server(metrics, serving_metrics, &shutdown)?),
        None => None,
    };
    // Last: a start that fails must not make a key whose secret nobody has seen.
    let first_key = make_first_key(&config, &store, keyring.as_ref()).await?;
    let server = Server::new(listeners.main, serving.clone(), max_connections, workers, shutdown.clone());

    let lifetime = Lifetime { server, serving, metrics_server, usage_writer, tasks, store };
    let done = tokio::spawn(lifetime.run());
    Ok(Running { addresses, metrics_address, first_key, routes, reloader, shutdown, done })
}

/// The adapters, and what the first generation and the end need of them.
struct Opened {
    adapters: Adapters,
    authenticator: Authenticator,
    usage_writer: JoinHandle<()>,
    /// None without Redis.
    limits: Option<SharedLimits>,
}

/// Opens the adapters, and starts the tasks that keep them current.
async fn open(config: &Config, clock: &Clock, tasks: &BackgroundTasks) -> Result<Opened, AppError> {
    let shutdown = tasks.shutdown.clone();
    let (metrics, configuration) = (Metrics::new(), ConfigurationStatus::new());
    let (redis, replica) = (open_redis(config, &metrics, tasks).await?, ReplicaId::random());
    let share = |redis| share_limits(redis, &replica, config, clock, &metrics, tasks);
    let limits = redis.as_ref().map(share);
    let store_error = |error| AppError::Store(config.database.to_string(), error);
    let store = open_store(config, tasks).await.map_err(store_error)?;
    let pets = open_pets(config, &store).await.map_err(store_error)?;
    let authenticator = open_authentication(config, &store, clock, tasks).await?;
    let (hub, retention) = open_events(config, &store, &pets, tasks).await.map_err(store_error)?;
    let (usage, writer) = UsageRecorder::new(store.clone(), config.accounting.keep);
    let usage_writer = tokio::spawn(writer.run(shutdown.disconnected.token().clone()));
    metrics.configuration_accepted(configuration.get().loaded_at, false);
    let routes = Routes::new(&config.models, &metrics).map_err(AppError::Tls)?;
    let routes = CurrentRoutes::new(Arc::new(routes));
    tasks.spawn_until_stop(sweep(routes.clone()));
    let shared = redis.as_ref().zip(limits.clone()).map(|(redis, limits)| {
        let (publish, sample) = watch::channel(String::new());
        let replicas = join_replicas(redis, &replica, sample, &pets, limits, &metrics, tasks);
        stats::Shared { replicas, publish }
    });
    let stats = Stats::new(stats::Sources {
        metrics: metrics.clone(),
        routes: routes.clone(),
        configuration: configuration.clone(),
        usage_recorder: usage.clone(),
        hub: hub.clone(),
        replica,
        shared,
    });
    tasks.spawn_until_disconnected(stats.clone().run());
    let sessions = Sessions::new(store.clone());
    let offload = Offload::new(config.auth != Auth::None);
    let adapters = Adapters {
        store,
        pets,
        hub,
        sessions,
        usage,
        offload,
        metrics,
        redis,
        stats,
        configuration,
        routes,
        retention,
        shutdown,
    };
    Ok(Opened { adapters, authenticator, usage_writer, limits })
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
fn metrics_server(listener: Listener, serving: CurrentServing, shutdown: &Shutdown) -> Result<Server, AppError> {
    let workers = Workers::start(NonZeroUsize::MIN).map_err(AppError::Threads)?;
    let shutdown = Shutdown { stop: shutdown.flushed.clone(), ..Shutdown::default() };
    Ok(Server::new(vec![listener], serving, MAX_METRICS_CONNECTIONS, workers, shutdown))
}
