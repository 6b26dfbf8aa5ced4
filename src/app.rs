//! From configuration to a running server, and back to nothing.

mod connection;
mod serve;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::events::{self, Events};
use crate::api::{AppState, BodyReader, PublicPath, router};
use crate::config::{Auth, Config, EventsConfig, UnknownParameters};
use crate::hub::{Hub, retain};
use crate::keyring::{FirstKeyError, Keyring, Principal};
use crate::layer::authenticate::Gate;
use crate::layer::browser::Browsers;
use crate::limiter::{Clock, Limiter};
use crate::petstore::PetStore;
use crate::petstore::log::EventLog;
use crate::relay::Relay;
use crate::responder::Responder;
use crate::sessions::Sessions;
use crate::store::{Store, StoreError};
use crate::upstream::{RemoteModels, Routes, TlsError};
use crate::wire::key::Scopes;
use crate::wire::request::Unknown;
use crate::wire::tokens;

/// How often idle upstream connections are looked after.
const SWEEP: Duration = Duration::from_secs(15);

/// Why the server could not start.
#[derive(Debug)]
pub enum AppError {
    /// The address can't be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The database can't be used.
    Store(StoreError),
    /// The first key could not be made.
    FirstKey(FirstKeyError),
    /// An upstream's TLS settings can't be used.
    Tls(TlsError),
    /// The client for model lists can't be built.
    Http(String),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                write!(f, "listen: {address}: {error}; choose another address with --listen or PETSTREAM_LISTEN")
            }
            Self::Store(error) => error.fmt(f),
            Self::FirstKey(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Http(error) => write!(f, "the HTTP client can't be built: {error}"),
        }
    }
}

impl std::error::Error for AppError {}

/// A server that accepts connections.
pub struct Running {
    /// Where it listens; with port 0 in the configuration, the port that it got.
    pub address: SocketAddr,
    /// The secret of the key that was made because there was none.
    pub first_key: Option<String>,
    stopping: CancellationToken,
    done: JoinHandle<()>,
}

impl Running {
    /// Begins to shut down: not ready, no new connections, running requests go on until they end or the drain
    /// deadline.
    pub fn stop(&self) {
        self.stopping.cancel();
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
    let listener = listen(config.listen).await?;
    let address = listener.local_addr().map_err(|error| AppError::Listen(config.listen, error))?;
    // Building the encoder's tables takes a moment, which the first question need not wait for.
    std::thread::spawn(tokens::warm);
    let store = Store::open(&config.database).await.map_err(AppError::Store)?;
    let pets = PetStore::new(store.clone()).with_low_stock(config.petstore.low_stock);
    pets.seed().await.map_err(AppError::Store)?;
    let stopping = CancellationToken::new();
    let cutting = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (gate, first_key) = gate(&config, &store, &clock, &stopping, &tasks).await?;
    let routes = Arc::new(Routes::new(&config.models).map_err(AppError::Tls)?);
    let ended = CancellationToken::new();
    let events = events(&config, &store, pets.doorbell(), &stopping, &ended, &tasks).await.map_err(AppError::Store)?;
    let state = AppState {
        events,
        public_path: PublicPath::new(&config.public_path),
        relay: Relay::new(&config, Responder::new(pets.clone()), Arc::clone(&routes), cutting.clone()),
        remote_models: RemoteModels::new(&routes).map_err(|error| AppError::Http(error.to_string()))?,
        routes: Arc::clone(&routes),
        pets,
        public_reads: config.petstore.public_reads,
        store: store.clone(),
        bodies: BodyReader::new(&config.limits),
        json_depth: config.limits.json_depth,
        unknown: match config.unknown_parameters {
            UnknownParameters::Pass => Unknown::Pass,
            UnknownParameters::Refuse => Unknown::Refuse,
        },
        stopping: stopping.clone(),
    };
    tasks.spawn(stopping.clone().run_until_cancelled_owned(sweep(routes)));
    let router = router(state, &gate, &Limiter::new(config.limits.total, clock), config.allow_origins);
    let server = serve::Server::new(listener, router, &config.limits, stopping.clone(), cutting);
    let drain = config.drain;
    let done = tokio::spawn(async move {
        server.run(drain).await;
        ended.cancel();
        tasks.close();
        tasks.wait().await;
        store.close().await;
    });
    Ok(Running { address, first_key, stopping, done })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|error| AppError::Listen(address, error))
}

/// The gate, and the secret of the first key if one had to be made.
async fn gate(
    config: &Config,
    store: &Store,
    clock: &Clock,
    stopping: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Gate, Option<String>), AppError> {
    if config.auth == Auth::None {
        let everybody = Principal {
            id: "everybody".into(),
            name: "everybody".into(),
            expires_at: None,
            models: None,
            scopes: Scopes::ALL,
            limits: config.limits.per_key,
        };
        return Ok((Gate::open(everybody, clock.clone()), None));
    }
    let keyring = Keyring::open(store.clone(), &config.keys, &config.limits).await.map_err(AppError::Store)?;
    let first = keyring.ensure_first().await.map_err(AppError::FirstKey)?;
    tasks.spawn(keyring.clone().watch(stopping.clone()));
    Ok((Gate::keys(keyring, clock.clone()), first))
}

/// Live events, and the tasks that bring them and forget them: the first until the last connection has `ended`.
async fn events(
    config: &Config,
    store: &Store,
    doorbell: watch::Receiver<u64>,
    stopping: &CancellationToken,
    ended: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Events, StoreError> {
    let log = EventLog::new(store.clone());
    let EventsConfig { keep, keep_count, subscribers, .. } = config.events;
    tasks.spawn(retain(log.clone(), keep, keep_count, stopping.clone()));
    let hub = Hub::open(log, subscribers).await?;
    tasks.spawn(ended.clone().run_until_cancelled_owned(hub.clone().run(doorbell, stopping.clone())));
    let public_path = PublicPath::new(&config.public_path);
    let sessions = Sessions::new(store.clone());
    let browsers = Browsers::new(sessions, &public_path.of(events::PATH), config.secure_cookies);
    Ok(Events::new(hub, browsers, &config.events, public_path))
}

async fn sweep(routes: Arc<Routes>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        routes.targets().for_each(|target| target.sweep());
    }
}
