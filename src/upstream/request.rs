//! A request to a target.

use http::HeaderMap;

use crate::wire::operation::Resource;
use crate::wire::request::ForwardedBody;

/// A request to a target.
pub struct UpstreamRequest<'a> {
    /// The resource, which decides the path.
    pub resource: Resource,
    /// The body.
    pub body: ForwardedBody<'a>,
    /// Whether a stream is requested.
    pub stream: bool,
    /// The client's headers, of which a few are forwarded.
    pub client: &'a HeaderMap,
}
