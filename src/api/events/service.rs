//! The state of the handlers of events.

use std::sync::Arc;
use std::time::Duration;

use crate::api::public_path::PublicPath;
use crate::auth::browser_credential::Browsers;
use crate::config::EventsConfig;
use crate::events::EventHub;
use crate::time::ShutdownSignal;

/// The source of events, browser sessions and settings; cheap to clone.
#[derive(Clone)]
pub struct Events {
    pub(super) hub: EventHub,
    pub(super) browsers: Browsers,
    pub(super) settings: Arc<Settings>,
}

/// How streams and pages behave.
pub(super) struct Settings {
    /// Time between two heartbeats.
    pub(super) heartbeat: Duration,
    /// When clients reconnect after a stream has ended.
    pub(super) retry: Duration,
    /// Time over which streams end, at random moments, when the server shuts down.
    pub(super) shutdown_window: Duration,
    pub(super) public_path: PublicPath,
    /// Raised when all streams have to end at once.
    pub(super) abort: ShutdownSignal,
}

impl Events {
    /// Events of `hub`. When `abort` is raised, streams end at once; the server polls them then.
    #[must_use]
    pub fn new(
        hub: EventHub,
        browsers: Browsers,
        config: &EventsConfig,
        public_path: PublicPath,
        abort: ShutdownSignal,
    ) -> Self {
        let EventsConfig { heartbeat, retry, shutdown_window, .. } = *config;
        Self { hub, browsers, settings: Arc::new(Settings { heartbeat, retry, shutdown_window, public_path, abort }) }
    }

    /// The source of events.
    #[must_use]
    pub const fn hub(&self) -> &EventHub {
        &self.hub
    }

    /// Tickets, sessions and cookies of browsers.
    #[must_use]
    pub const fn browsers(&self) -> &Browsers {
        &self.browsers
    }
}
