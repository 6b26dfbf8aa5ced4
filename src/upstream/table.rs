//! The routing table: the route of each model, and the table in force.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::routes::Route;
use super::target::Target;
use crate::config::{ANY_MODEL, ModelConfig};
use crate::http::client::TlsError;
use crate::telemetry::metrics::Metrics;
use crate::wire::operation::{Operation, Operations};

/// The routing table.
#[derive(Default)]
pub struct Routes {
    by_name: HashMap<String, ModelRoutes>,
    /// Those of `*`.
    catch_all: Option<ModelRoutes>,
    /// Configured names, in the order of the configuration file.
    names: Vec<String>,
}

/// The routes of a model: one for each operation that some target of it serves.
pub struct ModelRoutes {
    /// The route of all targets, whatever they serve.
    all: Arc<Route>,
    /// Indexed by [`Operation`]. Targets that serve several operations are shared, and so is the route of operations
    /// that every target serves.
    by_operation: [Option<Arc<Route>>; Operation::ALL.len()],
}

impl ModelRoutes {
    fn new(all: Route) -> Self {
        let all = Arc::new(all);
        Self { by_operation: Operation::ALL.map(|operation| all.serving(operation)), all }
    }

    /// The route of all targets, whatever they serve.
    #[must_use]
    pub const fn all(&self) -> &Arc<Route> {
        &self.all
    }

    /// The route of the targets that serve `operation`, if there are any.
    #[must_use]
    pub const fn serving(&self, operation: Operation) -> Option<&Arc<Route>> {
        self.by_operation[operation as usize].as_ref()
    }

    /// The route that answers requests of `operation`, and the operation that its targets are asked for: the same where
    /// there are targets that serve it, otherwise the one that it can be translated to.
    #[must_use]
    pub fn answering(&self, operation: Operation) -> Option<(&Arc<Route>, Operation)> {
        let asked_for = |operation| Some((self.serving(operation)?, operation));
        asked_for(operation).or_else(|| operation.translated().and_then(asked_for))
    }

    /// The operations that are answered.
    #[must_use]
    pub fn apis(&self) -> Operations {
        Operation::ALL.into_iter().filter(|operation| self.answering(*operation).is_some()).collect()
    }
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
            let previous =
                if model.name == ANY_MODEL { self.catch_all.as_ref() } else { self.by_name.get(&model.name) };
            let previous = previous.map(|model| &*model.all);
            let route = ModelRoutes::new(Route::following(previous, model, metrics.model(&model.name))?);
            if model.name == ANY_MODEL {
                routes.catch_all = Some(route);
            } else {
                routes.names.push(model.name.clone());
                routes.by_name.insert(model.name.clone(), route);
            }
        }
        Ok(routes)
    }

    /// The routes of `model`: its own, or those of `*`.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<&ModelRoutes> {
        self.by_name.get(model).or(self.catch_all.as_ref())
    }

    /// The configured names without `*`, in the order of the configuration file.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The routes of `*`, for all names without routes of their own.
    #[must_use]
    pub const fn catch_all(&self) -> Option<&ModelRoutes> {
        self.catch_all.as_ref()
    }

    /// The targets of all routes.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.by_name.values().chain(&self.catch_all).flat_map(|model| model.all.targets())
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
