//! The routing table: the route of each model, and the table in force.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::routes::Route;
use super::target::Target;
use crate::config::{ANY_MODEL, ModelConfig};
use crate::http::client::TlsError;
use crate::telemetry::metrics::Metrics;

/// The routing table.
#[derive(Default)]
pub struct Routes {
    by_name: HashMap<String, Arc<Route>>,
    /// The route `*`.
    catch_all: Option<Arc<Route>>,
    /// Configured names, in the order of the configuration file.
    names: Vec<String>,
}

impl Routes {
    /// Creates the routes of all models.
    ///
    /// # Errors
    /// [`TlsError`] of the first target whose certificate authorities can't be read.
    pub fn new(models: &[ModelConfig], metrics: &Metrics) -> Result<Self, TlsError> {
        Self::default().following(models, metrics)
    }

    /// The routes of `models` after those of before: a target whose address, name of the model and key are the same
    /// keeps its health and its connections, and a model its retry budget.
    ///
    /// # Errors
    /// As [`Routes::new`].
    pub fn following(&self, models: &[ModelConfig], metrics: &Metrics) -> Result<Self, TlsError> {
        let mut routes = Self::default();
        for model in models {
            let previous = if model.name == ANY_MODEL { self.catch_all() } else { self.by_name.get(&model.name) };
            let route = Route::following(previous.map(Arc::as_ref), model, metrics.model(&model.name))?;
            let route = Arc::new(route);
            if model.name == ANY_MODEL {
                routes.catch_all = Some(route);
            } else {
                routes.names.push(model.name.clone());
                routes.by_name.insert(model.name.clone(), route);
            }
        }
        Ok(routes)
    }

    /// The route of `model`: its own, or `*`.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<&Arc<Route>> {
        self.by_name.get(model).or(self.catch_all.as_ref())
    }

    /// The configured names without `*`, in the order of the configuration file.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The route `*`, for all names without a route of their own.
    #[must_use]
    pub const fn catch_all(&self) -> Option<&Arc<Route>> {
        self.catch_all.as_ref()
    }

    /// The targets of all routes.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.by_name.values().chain(&self.catch_all).flat_map(|route| route.targets())
    }
}

/// The routing table in force, for what is not part of a request; clones share it. A request keeps the table that it
/// began with.
#[derive(Clone)]
pub struct CurrentRoutes(Arc<ArcSwap<Routes>>);

impl CurrentRoutes {
    /// `routes` is in force.
    #[must_use]
    pub fn new(routes: Arc<Routes>) -> Self {
        Self(Arc::new(ArcSwap::new(routes)))
    }

    /// The table in force now.
    #[must_use]
    pub fn get(&self) -> Arc<Routes> {
        self.0.load_full()
    }

    /// Puts `routes` in force.
    pub fn set(&self, routes: Arc<Routes>) {
        self.0.store(routes);
    }
}
