//! Logs the line of a request.

use tracing::{Level, dispatcher};

use super::json::JsonLines;
use super::request_line::{RequestLine, TARGET};

impl RequestLine<'_> {
    /// Logs it unless it is filtered out. A log of JSON gets the line directly, without an event whose fields would
    /// have to be visited one by one.
    pub fn log(&self) {
        // With the names of all fields: a filter may refer to them.
        let enabled = tracing::event_enabled!(
            target: TARGET,
            Level::INFO,
            message,
            request_id,
            method,
            path,
            status,
            ms,
            client,
            key,
            model,
            upstream,
            attempts,
            first_token_ms,
            prompt_tokens,
            completion_tokens,
            usage,
            terminal,
            failure
        );
        if !enabled {
            return;
        }
        let written = dispatcher::get_default(|dispatch| {
            dispatch.downcast_ref::<JsonLines>().map(|lines| lines.add_request(self)).is_some()
        });
        if !written {
            self.event();
        }
    }
}
