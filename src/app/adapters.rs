//! Opens what the server is connected to: the database, and the services that read from it.
//!
//! Each function opens one adapter and starts the background tasks that keep it current.

use std::sync::Arc;
use std::time::Duration;

use super::AppError;
use super::background::BackgroundTasks;
use crate::api::PublicPath;
use crate::api::events::{self, Events};
use crate::auth::browser_credential::Browsers;
use crate::auth::keyring::{Keyring, Principal};
use crate::auth::sessions::Sessions;
use crate::bound::Bound;
use crate::config::{Auth, Config, EventsConfig};
use crate::events::{EventHub, retain};
use crate::limiter::Clock;
use crate::middleware::authenticator::Authenticator;
use crate::petstore::{Capacity, PetStore};
use crate::store::event_log::EventLog;
use crate::store::{Store, StoreError};
use crate::upstream::Routes;
use crate::wire::api_key::Scopes;

/// Time between two checks of idle upstream connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// Opens the database. A task watches its files until the last connection has ended.
pub(super) async fn open_store(config: &Config, tasks: &BackgroundTasks) -> Result<Store, StoreError> {
    let store = Store::open(&config.database).await?;
    for (file, mode) in store.files_accessible_to_others() {
        let file = file.display();
        tracing::warn!(
            "database: other users of this machine may use {file} (mode {mode:o}); chmod 600 keeps them out"
        );
    }
    tasks.spawn(store.clone().watch(tasks.shutdown.disconnected.token().clone()));
    Ok(store)
}

/// Opens the pets and orders, and puts the first pets into an empty database.
pub(super) async fn open_pets(config: &Config, store: &Store) -> Result<PetStore, StoreError> {
    let bounds = config.petstore;
    let capacity = Capacity {
        pets: bounds.pets,
        pets_of_a_key: bounds.pets_of_a_key(),
        orders: bounds.orders,
        orders_of_a_key: bounds.orders_of_a_key(),
    };
    let pets = PetStore::new(store.clone()).with_low_stock(bounds.low_stock).with_capacity(capacity);
    pets.seed().await?;
    Ok(pets)
}

/// Opens the authentication. A task reads changed keys until the shutdown begins.
pub(super) async fn open_authentication(
    config: &Config,
    store: &Store,
    clock: &Clock,
    tasks: &BackgroundTasks,
) -> Result<Authenticator, AppError> {
    if config.auth == Auth::None {
        let everybody = Principal {
            id: "everybody".into(),
            name: "everybody".into(),
            expires_at: None,
            models: None,
            scopes: Scopes::ALL,
            limits: config.limits.per_key,
        };
        return Ok(Authenticator::open(everybody, clock.clone()));
    }
    let keyring = Keyring::open(store.clone(), &config.keys, &config.limits).await;
    let keyring = keyring.map_err(|error| AppError::Store(config.database.clone(), error))?;
    tasks.spawn(keyring.clone().watch(tasks.shutdown.stop.token().clone()));
    Ok(Authenticator::keys(keyring, clock.clone()))
}

/// Opens the live events. One task deletes old events until the shutdown begins; another delivers new ones until the
/// last connection has ended.
pub(super) async fn open_events(
    config: &Config,
    store: &Store,
    pets: &PetStore,
    tasks: &BackgroundTasks,
) -> Result<Events, StoreError> {
    let EventsConfig { keep, keep_count, subscribers, .. } = config.events;
    let shutdown = &tasks.shutdown;
    let log = EventLog::new(store.clone());
    tasks.spawn(retain(log.clone(), keep, keep_count, shutdown.stop.token().clone()));
    let bound = Bound::new(subscribers as u64, config.events.subscribers_of_a_key() as u64);
    let hub = EventHub::open(log, bound).await?;
    tasks.spawn_until_disconnected(hub.clone().run(pets.commit_notifications(), shutdown.stop.token().clone()));
    let public_path = PublicPath::new(&config.public_path);
    let sessions = Sessions::new(store.clone());
    let browsers =
        Browsers::new(sessions, public_path.of(events::PATH), config.secure_cookies, config.allow_origins.clone());
    // A stream that is still open at the drain deadline ends without a time at which to reconnect.
    let shutdown_window = config.events.shutdown_window.min(config.drain.at_most);
    let config = EventsConfig { shutdown_window, ..config.events };
    Ok(Events::new(hub, browsers, &config, public_path, shutdown.abort.clone()))
}

/// Closes upstream connections that have been idle for too long.
pub(super) async fn sweep(routes: Arc<Routes>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        for target in routes.targets() {
            target.sweep().await;
        }
    }
}
