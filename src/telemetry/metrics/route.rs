//! Metrics of the requests to one route.

use http::Method;

use super::counters::{CounterMap, OTHER};

/// Pairs of method and status with a label of their own on one route.
const MAX_PAIRS: usize = 48;

/// The finished requests of one route, by method and status.
#[derive(Debug, Default)]
pub struct RouteMetrics {
    pub(super) requests: CounterMap<(&'static str, u16), MAX_PAIRS>,
}

impl RouteMetrics {
    /// Counts a finished request.
    pub fn count(&self, method: &Method, status: u16) {
        self.requests.counter((label(method), status)).add(1);
    }
}

/// The label of a method; clients may send any token.
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
