//! The reload: reads the configuration again and puts it in force for new requests, or reports why it can't.
//!
//! Everything that can fail comes first and changes nothing: reading and checking the file, the TLS settings of
//! upstreams, the keys of the database. Then all of it is put in force at once, without waiting. Reloads run one after
//! the other. Dropping the future of a reload is safe: then nothing has changed, or everything.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::adapters::retention;
use super::generation::{CurrentServing, Generation, everybody};
use super::listen::ListenerTls;
use super::restart::keep_hard_settings;
use super::secret_files::SecretFiles;
use super::state::{self, Adapters};
use crate::api::AppState;
use crate::config::{Config, ConfigError, FileVersion, Loaded, ReloadMode, Sources, file_version, load};
use crate::http::server::LoadedTls;

/// Longest time to read the configuration and the files that it names.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Every error, without secrets. None: the configuration is in force.
    pub errors: Vec<String>,
    /// Settings that are allowed but most likely a mistake.
    pub warnings: Vec<String>,
    /// The settings that have changed and take effect at the next start only.
    pub needs_restart: Vec<String>,
}

/// Replaces the configuration of a running server; clones are the same.
#[derive(Clone)]
pub struct Reloader(Arc<Shared>);

/// What a reload works on.
pub(super) struct Shared {
    pub(super) adapters: Adapters,
    pub(super) serving: CurrentServing,
    pub(super) serving_metrics: CurrentServing,
    pub(super) secret_files: Arc<Mutex<SecretFiles>>,
    /// Where the configuration comes from; none: it was given as it is.
    pub(super) sources: Option<Sources>,
    pub(super) tls: Vec<ListenerTls>,
    pub(super) in_force: Mutex<InForce>,
}

/// The configuration in force.
pub(super) struct InForce {
    pub(super) config: Arc<Config>,
    pub(super) generation: Generation,
    /// Whether there is a file.
    pub(super) has_file: bool,
    /// The version of the file that was read last.
    pub(super) version: Option<FileVersion>,
}

impl Reloader {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Reads the configuration again, with the flags and the environment of the start. `cause` is for the log.
    pub async fn reload(&self, cause: &str) -> ReloadReport {
        let mut in_force = self.0.in_force.lock().await;
        let Some(sources) = self.0.sources.clone() else {
            return self.reject(cause, vec!["this server has no configuration to read again".to_owned()]);
        };
        let read = tokio::task::spawn_blocking(move || {
            let loaded = load(&sources);
            let version = loaded.as_ref().map_or_else(|_| file_version(&sources), |loaded| loaded.version);
            (loaded, version)
        });
        // A file may be a pipe, or on a server that does not answer: later reloads must not wait for it.
        let (loaded, version) = match tokio::time::timeout(READ_TIMEOUT, read).await {
            Ok(Ok(read)) => read,
            Ok(Err(panic)) => return self.reject(cause, vec![panic.to_string()]),
            Err(_elapsed) => {
                let problem = "the configuration, or a file that it names, could not be read within 10 s";
                return self.reject(cause, vec![problem.to_owned()]);
            }
        };
        in_force.version = version;
        match loaded {
            Ok(Loaded { file: None, .. }) if in_force.has_file => {
                let problem = "the configuration file is gone; put it back, or restart the server without it";
                self.reject(cause, vec![problem.to_owned()])
            }
            Ok(Loaded { config, warnings, file, .. }) => {
                in_force.has_file = file.is_some();
                self.replace(&mut in_force, cause, config, warnings).await
            }
            Err(errors) => self.reject(cause, errors.iter().map(ConfigError::to_string).collect()),
        }
    }

    /// Puts `config` in force, as if it had been read.
    pub async fn apply(&self, config: Config) -> ReloadReport {
        let mut in_force = self.0.in_force.lock().await;
        self.replace(&mut in_force, "a call", config, Vec::new()).await
    }

    async fn replace(
        &self,
        in_force: &mut InForce,
        cause: &str,
        mut config: Config,
        warnings: Vec<String>,
    ) -> ReloadReport {
        let names = keep_hard_settings(&in_force.config, &mut config);
        let config = Arc::new(config.with_shares());
        // Held until the end: no key of a file changes between the look at it and the new generation.
        let mut secret_files = self.0.secret_files.lock().await;
        let built = async {
            let tls = self.read_certificates(&config).await?;
            self.build(&in_force.generation, &config).await.map(|generation| (generation, tls))
        };
        let (generation, tls) = match built.await {
            Ok(built) => built,
            Err(problem) => return self.reject(cause, vec![problem]),
        };
        *secret_files = SecretFiles::new(generation.authenticator.keyring(), &config.keys, &generation.state.routes);
        self.put_in_force(in_force, config, generation, tls);
        for warning in &warnings {
            tracing::warn!("configuration: {warning}");
        }
        self.0.adapters.configuration.accepted(names.clone());
        self.0.adapters.metrics.configuration_accepted(self.0.adapters.configuration.get().loaded_at, true);
        let needs_restart = names.join(", ");
        if needs_restart.is_empty() {
            tracing::info!(cause, "configuration read again");
        } else {
            tracing::warn!(cause, "configuration read again; needs a restart: {needs_restart}");
        }
        let needs_restart = names.into_iter().map(str::to_owned).collect();
        ReloadReport { errors: Vec::new(), warnings, needs_restart }
    }

    /// Reads the certificate of each listener, in the order of the listeners.
    async fn read_certificates(&self, config: &Config) -> Result<Vec<LoadedTls>, String> {
        let of_entry = |listener: &ListenerTls| config.listen.get(listener.entry)?.tls.clone();
        let files: Vec<_> = self.0.tls.iter().filter_map(of_entry).collect();
        let read = move || files.iter().map(LoadedTls::read).collect::<Result<_, _>>();
        let read = tokio::task::spawn_blocking(read).await.map_err(|panic| panic.to_string())?;
        read.map_err(|error| error.to_string())
    }

    /// Builds what `config` decides, with what `previous` has counted. Changes nothing.
    async fn build(&self, previous: &Generation, config: &Arc<Config>) -> Result<Generation, String> {
        let (shared, wanted, state) = (Arc::clone(&self.0), Arc::clone(config), Arc::clone(&previous.state));
        // Reads the certificates of upstreams.
        let building = tokio::task::spawn_blocking(move || {
            let routes = state.routes.following(&wanted.models, &shared.adapters.metrics);
            let routes = Arc::new(routes.map_err(|error| error.to_string())?);
            let built = state::build(&wanted, &shared.adapters, routes, Some(&state));
            built.map_err(|error| error.to_string())
        });
        let state: Arc<AppState> = building.await.map_err(|panic| panic.to_string())??;
        let authenticator = match previous.authenticator.keyring() {
            Some(keyring) => {
                let keyring = keyring.following(&config.keys, &config.limits, config.auth_cache).await;
                let keyring = keyring.map_err(|error| format!("the keys of the database: {error}"))?;
                previous.authenticator.with_keyring(keyring)
            }
            None => previous.authenticator.with_principal(everybody(config)),
        };
        Ok(Generation { state, authenticator, limiter: previous.limiter.clone() })
    }

    /// Nothing here waits or fails, so that a reload is done as a whole or not at all.
    fn put_in_force(&self, in_force: &mut InForce, config: Arc<Config>, generation: Generation, tls: Vec<LoadedTls>) {
        let Shared { adapters, serving, serving_metrics, .. } = &*self.0;
        // At the last moment: what requests use up until then counts.
        let limiter = generation.limiter.with_total(config.limits.total);
        let generation = Generation { limiter, ..generation };
        serving.store(generation.serving(&config));
        serving_metrics.store(generation.serving_metrics(&config));
        if let Some(keyring) = generation.authenticator.keyring() {
            keyring.make_current();
        }
        for (listener, loaded) in self.0.tls.iter().zip(tls) {
            listener.tls.replace(loaded);
        }
        adapters.routes.set(Arc::clone(&generation.state.routes));
        adapters.retention.send_replace(retention(&config));
        adapters.usage.keep_for(config.accounting.keep);
        in_force.generation = generation;
        in_force.config = config;
    }

    /// Reports errors; the configuration in force stays.
    fn reject(&self, cause: &str, errors: Vec<String>) -> ReloadReport {
        for error in &errors {
            tracing::error!("configuration: {error}");
        }
        tracing::error!(cause, errors = errors.len(), "configuration not changed: it has errors");
        self.0.adapters.configuration.rejected(&errors);
        self.0.adapters.metrics.configuration_rejected();
        ReloadReport { errors, ..ReloadReport::default() }
    }

    /// Whether the file is to be read again when it changes, and the version that was read last; none without sources.
    pub(super) async fn watched(&self) -> Option<(Sources, ReloadMode, Option<FileVersion>)> {
        let sources = self.0.sources.clone()?;
        let in_force = self.0.in_force.lock().await;
        Some((sources, in_force.config.reload, in_force.version))
    }
}
