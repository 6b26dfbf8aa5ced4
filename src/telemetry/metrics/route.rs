//! What is measured of HTTP requests.

use http::Method;

use super::count::{OTHER, Slots};

/// Most pairs of method and status that are told apart on one route.
const MAX_PAIRS: usize = 48;

/// One route's requests by method and status.
#[derive(Debug, Default)]
pub struct RouteMetrics {
    pub(super) requests: Slots<(&'static str, u16), MAX_PAIRS>,
}

impl RouteMetrics {
    /// A request has ended.
    pub fn count(&self, method: &Method, status: u16) {
        self.requests.of((label(method), status)).add(1);
    }
}

/// Clients may make methods up.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}
