//! Opens what the server is connected to: the database, and the services that read from it.
//!
//! Each function opens one adapter and starts the background tasks that keep it current.

use std::time::Duration;

use tokio::sync::watch;

use super::AppError;
use super::background::BackgroundTasks;
use super::generation::everybody;
use super::state;
use crate::auth::keyring::Keyring;
use crate::bound::Bound;
use crate::config::{Auth, Config};
use crate::events::{EventHub, Retention, retain};
use crate::limiter::Clock;
use crate::middleware::authenticator::Authenticator;
use crate::petstore::PetStore;
use crate::store::event_log::EventLog;
use crate::store::{Store, StoreError};
use crate::upstream::CurrentRoutes;

/// Time between two checks of idle upstream connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// Opens the database. A task watches its files until the last connection has ended.
pub(super) async fn open_store(config: &Config, tasks: &BackgroundTasks) -> Result<Store, StoreError> {
    let store = Store::connect(&config.database).await?;
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
    let pets = state::pets(config, &PetStore::new(store.clone()));
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
        return Ok(Authenticator::open(everybody(config), clock.clone()));
    }
    let keyring = Keyring::open(store.clone(), &config.keys, &config.limits, config.auth_cache).await;
    let keyring = keyring.map_err(|error| AppError::Store(config.database.to_string(), error))?;
    tasks.spawn(keyring.clone().watch(tasks.shutdown.stop.token().clone()));
    Ok(Authenticator::keys(keyring, clock.clone()))
}

/// Opens the live events, and returns what sets which of them are kept. One task deletes old events until the shutdown
/// begins; another delivers new ones until the last connection has ended.
pub(super) async fn open_events(
    config: &Config,
    store: &Store,
    pets: &PetStore,
    tasks: &BackgroundTasks,
) -> Result<(EventHub, watch::Sender<Retention>), StoreError> {
    let subscribers = config.events.subscribers;
    let shutdown = &tasks.shutdown;
    let log = EventLog::new(store.clone());
    let (kept, retention) = watch::channel(retention(config));
    tasks.spawn(retain(log.clone(), retention, shutdown.stop.token().clone()));
    let bound = Bound::new(subscribers as u64, config.events.subscribers_of_a_key() as u64);
    let hub = EventHub::open(log, bound).await?;
    tasks.spawn_until_disconnected(hub.clone().run(pets.commit_notifications(), shutdown.stop.token().clone()));
    // Redis passes on commit notifications for less.
    if config.redis.is_none()
        && let Some(notifications) = store.commit_notifications()
    {
        let (commits, pets) = (pets.commit_notifications(), pets.clone());
        tasks.spawn_until_disconnected(notifications.run(commits, move || pets.notify_commit()));
    }
    Ok((hub, kept))
}

/// Which events are kept.
pub(super) const fn retention(config: &Config) -> Retention {
    Retention { keep: config.events.keep, count: config.events.keep_count }
}

/// Closes upstream connections that have been idle for too long.
pub(super) async fn sweep(routes: CurrentRoutes) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        for target in routes.get().targets() {
            target.sweep().await;
        }
    }
}
