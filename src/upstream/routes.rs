//! The table of routes: which model is served where.

use std::collections::HashMap;
use std::sync::Arc;

use super::target::Target;
use super::tls::TlsError;
use crate::config::ModelConfig;

/// A model and the targets that serve it.
pub struct Route {
    /// What clients ask for; `*` for the route that takes every other name.
    pub name: String,
    /// At least one.
    pub targets: Vec<Arc<Target>>,
}

/// All routes.
#[derive(Default)]
pub struct Routes {
    by_name: HashMap<String, Arc<Route>>,
    other: Option<Arc<Route>>,
    /// Configured names, in the order of the file.
    names: Vec<String>,
}

impl Routes {
    /// Builds the table.
    ///
    /// # Errors
    /// [`TlsError`] of the first target whose authorities can't be read.
    pub fn new(models: &[ModelConfig]) -> Result<Self, TlsError> {
        let mut routes = Self::default();
        for model in models {
            let targets = model.upstreams.iter().map(Target::new).collect::<Result<Vec<_>, _>>()?;
            let route = Arc::new(Route { name: model.name.clone(), targets });
            if model.name == "*" {
                routes.other = Some(route);
            } else {
                routes.names.push(model.name.clone());
                routes.by_name.insert(model.name.clone(), route);
            }
        }
        Ok(routes)
    }

    /// Where `model` is served, if anywhere.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<&Arc<Route>> {
        self.by_name.get(model).or(self.other.as_ref())
    }

    /// The configured names, in the order of the file, without `*`.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The route that takes every other name.
    #[must_use]
    pub const fn other(&self) -> Option<&Arc<Route>> {
        self.other.as_ref()
    }

    /// Every target of every route.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.by_name.values().chain(&self.other).flat_map(|route| &route.targets)
    }
}
