//! The list of models of the `*` upstream, which is merged into our own list.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_openai::types::models::Model;
use serde_json::Value;

use super::table::Routes;
use super::target::Target;

/// How long a list is cached.
const CACHE_TTL: Duration = Duration::from_secs(60);
/// How long a failure is cached, so that an unreachable upstream delays one client for a short time and the others not
/// at all.
const FAILURE_TTL: Duration = Duration::from_secs(10);
/// Longest wait of a client for the list.
const LIST_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest list that is accepted, bytes.
const MAX_LIST_LEN: usize = 4 * 1024 * 1024;

/// The list of the `*` route's first target, cached.
#[derive(Clone, Default)]
pub struct RemoteModels {
    /// `None` if there is no `*` route.
    source: Option<(reqwest::Client, Arc<Target>)>,
    // std Mutex: never held across .await
    cache: Arc<Mutex<Cache>>,
    /// Held during a refresh: one at a time.
    refreshing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Cache {
    models: Arc<Vec<Model>>,
    valid_until: Option<Instant>,
}

impl RemoteModels {
    /// Creates an empty cache.
    ///
    /// # Errors
    /// If the HTTP client can't be built.
    pub fn new(routes: &Routes) -> Result<Self, reqwest::Error> {
        let Some(target) = Self::target(routes) else { return Ok(Self::default()) };
        let mut client = reqwest::Client::builder()
            .timeout(LIST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(target.tls_config().as_ref().clone());
        if let Some(socket) = target.socket() {
            client = client.unix_socket(socket);
        }
        Ok(Self { source: Some((client.build()?, Arc::clone(target))), ..Self::default() })
    }

    /// The list after a change of the routes: with its cache if the target is the same, otherwise as
    /// [`RemoteModels::new`].
    ///
    /// # Errors
    /// As [`RemoteModels::new`].
    pub fn following(&self, routes: &Routes) -> Result<Self, reqwest::Error> {
        match (&self.source, Self::target(routes)) {
            (Some((_, before)), Some(now)) if Arc::ptr_eq(before, now) => Ok(self.clone()),
            _ => Self::new(routes),
        }
    }

    fn target(routes: &Routes) -> Option<&Arc<Target>> {
        routes.catch_all().and_then(|model| model.all().targets().next())
    }

    /// The list. If the upstream does not send it in time, the last list that was received, or an empty one.
    pub async fn list(&self) -> Arc<Vec<Model>> {
        let Some((client, target)) = &self.source else { return Arc::default() };
        if let Some(fresh) = self.cached(true) {
            return fresh;
        }
        let Ok(_refreshing) = tokio::time::timeout(LIST_TIMEOUT, self.refreshing.lock()).await else {
            return self.cached(false).unwrap_or_default();
        };
        if let Some(fresh) = self.cached(true) {
            return fresh;
        }
        let fetched = fetch(client, target).await;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let ttl = if fetched.is_some() { CACHE_TTL } else { FAILURE_TTL };
        cache.valid_until = Some(Instant::now() + ttl);
        if let Some(models) = fetched {
            cache.models = Arc::new(models);
        }
        Arc::clone(&cache.models)
    }

    /// The cached list; if `fresh`, only while it is valid.
    fn cached(&self, fresh: bool) -> Option<Arc<Vec<Model>>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let is_valid = cache.valid_until.is_some_and(|until| until > Instant::now());
        (is_valid || !fresh).then(|| Arc::clone(&cache.models))
    }
}

async fn fetch(client: &reqwest::Client, target: &Target) -> Option<Vec<Model>> {
    match try_fetch(client, target).await {
        Ok(models) => Some(models),
        Err(error) => {
            tracing::warn!(target = &**target.name(), %error, "the upstream's list of models can't be read");
            None
        }
    }
}

async fn try_fetch(client: &reqwest::Client, target: &Target) -> Result<Vec<Model>, ListError> {
    let mut request = client.get(target.models_url());
    if let Some((name, value)) = target.credential().header() {
        request = request.header(name, value);
    }
    let mut response = request.send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(data) = response.chunk().await? {
        if body.len() + data.len() > MAX_LIST_LEN {
            return Err(ListError::TooLong);
        }
        body.extend_from_slice(&data);
    }
    let list: Value = serde_json::from_slice(&body).map_err(|_| ListError::NotAList)?;
    let data = list.get("data").and_then(Value::as_array).ok_or(ListError::NotAList)?;
    Ok(data.iter().filter_map(model).collect())
}

/// A list's entry in OpenAI's format. Some servers leave out all members except the id.
fn model(value: &Value) -> Option<Model> {
    Some(Model {
        id: value.get("id")?.as_str()?.to_owned(),
        object: "model".to_owned(),
        created: value.get("created").and_then(Value::as_u64).and_then(|at| u32::try_from(at).ok()).unwrap_or(0),
        owned_by: value.get("owned_by").and_then(Value::as_str).unwrap_or("upstream").to_owned(),
        shutdown_date: None,
    })
}

#[derive(Debug)]
enum ListError {
    Request(reqwest::Error),
    TooLong,
    NotAList,
}

impl From<reqwest::Error> for ListError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may contain a user name and a password, which must not be logged.
        Self::Request(error.without_url())
    }
}

impl std::fmt::Display for ListError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::TooLong => f.write_str("it is longer than 4 MiB"),
            Self::NotAList => f.write_str("it is no list of models"),
        }
    }
}
