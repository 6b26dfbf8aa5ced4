//! Whether the configuration could be read when it was read last, for the readiness probe, the metrics and the page.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// Errors whose text is kept.
const MAX_ERRORS: usize = 20;

/// The state of the configuration; clones share it.
#[derive(Clone, Debug)]
pub struct ConfigurationStatus(Arc<Mutex<Configuration>>);

/// What is known of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// When the settings in force were read.
    pub loaded_at: Timestamp,
    /// The number of errors that were found when it was read last. None: the settings in force are those of the file.
    pub error_count: usize,
    /// Their texts, at most 20. They contain no secret.
    pub errors: Vec<String>,
    /// Settings whose values in the file take effect at the next start.
    pub needs_restart: Vec<&'static str>,
}

impl ConfigurationStatus {
    /// A configuration that was read now, without errors.
    #[must_use]
    pub fn new() -> Self {
        let loaded_at = Timestamp::now();
        let state = Configuration { loaded_at, error_count: 0, errors: Vec::new(), needs_restart: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Another configuration is in force; these settings of it need a restart.
    pub fn accepted(&self, needs_restart: Vec<&'static str>) {
        let loaded_at = Timestamp::now();
        *self.state() = Configuration { loaded_at, error_count: 0, errors: Vec::new(), needs_restart };
    }

    /// The configuration was read and has these errors, so that the one before stays in force.
    pub fn rejected(&self, errors: &[String]) {
        let mut state = self.state();
        state.error_count = errors.len().max(1);
        state.errors = errors.iter().take(MAX_ERRORS).cloned().collect();
    }

    /// Whether the settings in force are those of the file, as far as they don't need a restart.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.state().error_count == 0
    }

    /// Everything that is known.
    #[must_use]
    pub fn get(&self) -> Configuration {
        self.state().clone()
    }

    // std Mutex: never held across .await
    fn state(&self) -> MutexGuard<'_, Configuration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ConfigurationStatus {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_20_errors_are_kept_and_all_are_counted() {
        let status = ConfigurationStatus::new();
        let errors: Vec<_> = (0..30).map(|number| format!("error {number}")).collect();
        status.rejected(&errors);
        let state = status.get();
        assert_eq!((state.error_count, state.errors.as_slice(), status.is_valid()), (30, &errors[..20], false));
        status.accepted(vec!["listen"]);
        let state = status.get();
        assert_eq!((state.error_count, state.errors.len(), state.needs_restart), (0, 0, vec!["listen"]));
        assert!(status.is_valid());
    }
}
