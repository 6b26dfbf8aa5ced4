//! From configuration to a running server, and back to nothing.

mod key_files;
mod serve;
mod tcp;
mod workers;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::key_files::KeyFiles;
use self::serve::{Server, Signals};
use self::workers::Workers;
use crate::api::events::{self, Events};
use crate::api::stats::{Sources, Stats};
use crate::api::{AppState, BodyReader, PublicPath, front, open_router};
use crate::auth::browser_credential::Browsers;
use crate::auth::keyring::{FirstKeyError, Keyring, Principal};
use crate::auth::sessions::Sessions;
use crate::bound::Bound;
use crate::completion::{CompletionService, Parts};
use crate::config::{Auth, Config, EventsConfig, Limits, UnknownParameters};
use crate::events::{EventHub, retain};
use crate::limiter::{Clock, Limiter};
use crate::middleware::authenticate::Authenticator;
use crate::offload::Offload;
use crate::petstore::{Capacity, PetStore};
use crate::responder::{MODEL, Responder};
use crate::store::event_log::EventLog;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::time::Signal;
use crate::upstream::{RemoteModels, Routes, TlsError};
use crate::usage::UsageRecorder;
use crate::web;
use crate::wire::api_key::Scopes;
use crate::wire::request::{Rules, Unknown};
use crate::wire::tokens;

/// How many connections may wait to be accepted (the kernel caps it at `net.core.somaxconn`). The usual 128 makes a
/// burst of clients wait for a second, until they knock again.
const BACKLOG: u32 = 4_096;
/// How often idle upstream connections are looked after.
const SWEEP: Duration = Duration::from_secs(15);
/// Connections at once to the metrics' own listener: a few scrapers and probes.
const SCRAPERS: usize = 64;
/// How long a scrape may go on when everything else has ended.
const LAST_SCRAPE: Duration = Duration::from_secs(1);

/// Why the server could not start.
#[derive(Debug)]
pub enum AppError {
    /// The address can't be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The metrics' own address can't be listened on.
    MetricsListen(SocketAddr, std::io::Error),
    /// The database at this address can't be used.
    Store(String, StoreError),
    /// The first key could not be made.
    FirstKey(FirstKeyError),
    /// An upstream's TLS settings can't be used.
    Tls(TlsError),
    /// There are no threads to serve with.
    Threads(std::io::Error),
    /// The client for model lists can't be built.
    Http(String),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                write!(f, "listen: {address}: {error}; choose another address with --listen or PETSTREAM_LISTEN")
            }
            Self::MetricsListen(address, error) => {
                write!(f, "metrics.listen: {address}: {error}; choose another address")
            }
            // These name it themselves.
            Self::Store(_, error @ (StoreError::Open(..) | StoreError::Folder(_) | StoreError::Url(_))) => error.fmt(f),
            Self::Store(address, error) => {
                write!(f, "{error}, in {address}; `petstream restore` puts a backup in its place")
            }
            Self::FirstKey(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Threads(error) => write!(f, "threads: {error}; raise the limit of processes or files, or set fewer"),
            Self::Http(error) => write!(f, "the HTTP client can't be built: {error}"),
        }
    }
}

impl std::error::Error for AppError {}

/// A server that accepts connections.
pub struct Running {
    /// Where it listens; with port 0 in the configuration, the port that it got.
    pub address: SocketAddr,
    /// Where the metrics' own listener listens, if there is one.
    pub metrics_address: Option<SocketAddr>,
    /// The secret of the key that was made because there was none.
    pub first_key: Option<String>,
    stopping: Signal,
    end_now: Signal,
    done: JoinHandle<()>,
}

impl Running {
    /// Begins to shut down: not ready, no new connections, running requests go on until they end or the drain
    /// deadline.
    pub fn stop(&self) {
        self.stopping.raise();
    }

    /// Raised, it ends a drain at once: every running stream gets its error frame, as at the drain deadline.
    #[must_use]
    pub const fn end_now(&self) -> &Signal {
        &self.end_now
    }

    /// Waits until the last connection has ended.
    pub async fn stopped(self) {
        // A server that panicked has stopped too, and has said so.
        let _ = self.done.await;
    }
}

/// Opens everything and begins to serve.
///
/// # Errors
/// [`AppError`], whose text names what to change.
pub async fn start(config: Config) -> Result<Running, AppError> {
    start_with(config, Clock::real()).await
}

/// As [`start`], with a clock of the caller's for all limits.
///
/// # Errors
/// As [`start`].
pub async fn start_with(config: Config, clock: Clock) -> Result<Running, AppError> {
    let (listener, address) = listen(config.listen).map_err(|error| AppError::Listen(config.listen, error))?;
    let (scraping, metrics_address) = listen_for_metrics(&config)?.unzip();
    warm(config.page);
    let (stopping, end_now, cutting) = (Signal::default(), Signal::default(), Signal::default());
    let tasks = TaskTracker::new();
    let ended = CancellationToken::new();
    let unusable = |error| AppError::Store(config.database.clone(), error);
    let (store, pets) = open(&config, &ended, &tasks).await.map_err(unusable)?;
    let (gate, first_key) = gate(&config, &store, &clock, stopping.token(), &tasks).await?;
    let (ledger, writer) = UsageRecorder::new(store.clone(), config.accounting.keep);
    let written = CancellationToken::new();
    let writing = tokio::spawn(writer.run(written.clone()));
    let events = events(&config, &store, pets.doorbell(), (&stopping, &cutting), &ended, &tasks);
    let events = events.await.map_err(unusable)?;
    let state = assemble(&config, store.clone(), pets, events, ledger, (&stopping, &cutting))?;
    tasks.spawn(ended.clone().run_until_cancelled_owned(state.stats.clone().run()));
    let routes = Arc::clone(&state.routes);
    let key_files = KeyFiles::new(gate.keyring(), &config.keys, &routes);
    tasks.spawn(key_files.watch(ended.clone()));
    let swept = stopping.token().clone().run_until_cancelled_owned(sweep(routes));
    tasks.spawn(swept);
    let closing = Signal::default();
    let workers = Workers::start(config.threads).map_err(AppError::Threads)?;
    let scraping = scraping.map(|listener| {
        let scraped = Workers::start(NonZeroUsize::MIN).map_err(AppError::Threads)?;
        let limits = Limits { connections: SCRAPERS, ..config.limits };
        let signals = Signals { stopping: closing.clone(), ..Signals::default() };
        Ok(Server::new(listener, open_router(Arc::clone(&state)).into(), &limits, scraped, signals))
    });
    let scraping = scraping.transpose()?;
    let front = front(state, &gate, &Limiter::new(config.limits.total, clock), config.allow_origins);
    let signals = Signals { stopping: stopping.clone(), end_now: end_now.clone(), cutting };
    let server = Server::new(listener, front, &config.limits, workers, signals);
    let drain = config.drain;
    let done = tokio::spawn(async move {
        let main = async {
            server.run(drain).await;
            ended.cancel();
            // The last request has ended, so the last usage has been recorded.
            written.cancel();
            let _ = writing.await;
            closing.raise();
        };
        // How the drain goes is seen here.
        let to_the_end = async {
            if let Some(scraping) = scraping {
                scraping.run(LAST_SCRAPE).await;
            }
        };
        tokio::join!(main, to_the_end);
        tasks.close();
        tasks.wait().await;
        store.close().await;
    });
    Ok(Running { address, metrics_address, first_key, stopping, end_now, done })
}

/// The database and the pets in it, and the task that looks after its files until the last connection has `ended`.
async fn open(
    config: &Config,
    ended: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Store, PetStore), StoreError> {
    let store = Store::open(&config.database).await?;
    for (file, mode) in store.open_to_others() {
        let file = file.display();
        tracing::warn!(
            "database: other users of this machine may use {file} (mode {mode:o}); chmod 600 keeps them out"
        );
    }
    let pets = pet_store(config, store.clone());
    pets.seed().await?;
    tasks.spawn(store.clone().watch(ended.clone()));
    Ok((store, pets))
}

/// Makes ready what takes a moment, which the first question and the first reader need not wait for.
fn warm(page: bool) {
    std::thread::spawn(move || {
        tokens::warm();
        if page {
            web::warm();
        }
    });
}

/// Pets and orders within their bounds.
fn pet_store(config: &Config, store: Store) -> PetStore {
    // Without keys, everybody is one caller.
    let bounds = if config.auth == Auth::None { config.petstore.undivided() } else { config.petstore };
    let capacity = Capacity {
        pets: bounds.pets,
        pets_of_a_key: bounds.pets_of_a_key(),
        orders: bounds.orders,
        orders_of_a_key: bounds.orders_of_a_key(),
    };
    PetStore::new(store).with_low_stock(bounds.low_stock).with_capacity(capacity)
}

/// What handlers use.
fn assemble(
    config: &Config,
    store: Store,
    pets: PetStore,
    events: Events,
    ledger: UsageRecorder,
    (stopping, cutting): (&Signal, &Signal),
) -> Result<Arc<AppState>, AppError> {
    // Without keys, everybody is one caller.
    let limits = if config.auth == Auth::None { config.limits.undivided() } else { config.limits };
    let offload = Offload::new(config.auth != Auth::None);
    let metrics = Metrics::new();
    let routes = Arc::new(Routes::new(&config.models, &metrics).map_err(AppError::Tls)?);
    let parts = Parts {
        responder: Responder::new(pets.clone(), offload.clone()),
        routes: Arc::clone(&routes),
        ledger: ledger.clone(),
        metrics: metrics.clone(),
        cutting: cutting.flag(),
    };
    let stats = Stats::new(Sources {
        metrics: metrics.clone(),
        routes: Arc::clone(&routes),
        ledger: ledger.clone(),
        hub: events.hub().clone(),
    });
    Ok(Arc::new(AppState {
        events,
        stats,
        public_path: PublicPath::new(&config.public_path),
        relay: CompletionService::new(&Config { limits, ..config.clone() }, parts),
        remote_models: RemoteModels::new(&routes).map_err(|error| AppError::Http(error.to_string()))?,
        routes,
        pets,
        public_reads: config.petstore.public_reads,
        page: config.page,
        store,
        bodies: BodyReader::new(&limits),
        offload,
        rules: Rules {
            json_depth: config.limits.json_depth,
            unknown: match config.unknown_parameters {
                UnknownParameters::Pass => Unknown::Pass,
                UnknownParameters::Refuse => Unknown::Refuse,
            },
            local_model: MODEL,
        },
        metrics,
        ledger,
        stopping: stopping.token().clone(),
    }))
}

/// A listener, and where it listens.
fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port that was in use a moment ago can be used again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn listen_for_metrics(config: &Config) -> Result<Option<(TcpListener, SocketAddr)>, AppError> {
    let Some(address) = config.metrics_listen else { return Ok(None) };
    listen(address).map(Some).map_err(|error| AppError::MetricsListen(address, error))
}

/// The gate, and the secret of the first key if one had to be made.
async fn gate(
    config: &Config,
    store: &Store,
    clock: &Clock,
    stopping: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Authenticator, Option<String>), AppError> {
    if config.auth == Auth::None {
        let everybody = Principal {
            id: "everybody".into(),
            name: "everybody".into(),
            expires_at: None,
            models: None,
            scopes: Scopes::ALL,
            limits: config.limits.per_key,
        };
        return Ok((Authenticator::open(everybody, clock.clone()), None));
    }
    let keyring = Keyring::open(store.clone(), &config.keys, &config.limits).await;
    let keyring = keyring.map_err(|error| AppError::Store(config.database.clone(), error))?;
    let first = keyring.ensure_first().await.map_err(AppError::FirstKey)?;
    tasks.spawn(keyring.clone().watch(stopping.clone()));
    Ok((Authenticator::keys(keyring, clock.clone()), first))
}

/// Live events, and the tasks that bring them and forget them: the first until the last connection has `ended`.
async fn events(
    config: &Config,
    store: &Store,
    doorbell: watch::Receiver<u64>,
    (stopping, cutting): (&Signal, &Signal),
    ended: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Events, StoreError> {
    let stopping = stopping.token();
    let log = EventLog::new(store.clone());
    let EventsConfig { keep, keep_count, .. } = config.events;
    tasks.spawn(retain(log.clone(), keep, keep_count, stopping.clone()));
    // Without keys, everybody is one caller.
    let shares = if config.auth == Auth::None { config.events.undivided() } else { config.events };
    let places = Bound::new(shares.subscribers as u64, shares.subscribers_of_a_key() as u64);
    let hub = EventHub::open(log, places).await?;
    tasks.spawn(ended.clone().run_until_cancelled_owned(hub.clone().run(doorbell, stopping.clone())));
    let public_path = PublicPath::new(&config.public_path);
    let sessions = Sessions::new(store.clone());
    let browsers =
        Browsers::new(sessions, public_path.of(events::PATH), config.secure_cookies, config.allow_origins.clone());
    // Whoever is still there at the drain deadline would be cut without being told when to come back.
    let shutdown_window = config.events.shutdown_window.min(config.drain);
    let config = EventsConfig { shutdown_window, ..config.events };
    Ok(Events::new(hub, browsers, &config, public_path, cutting.clone()))
}

async fn sweep(routes: Arc<Routes>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for target in routes.targets() {
            target.sweep().await;
        }
    }
}
