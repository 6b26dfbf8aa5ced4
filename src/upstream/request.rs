//! What a target is asked.

use http::HeaderMap;

use crate::wire::request::ForwardedBody;

/// A chat completion to be sent to a target.
pub struct UpstreamRequest<'a> {
    /// The body.
    pub body: ForwardedBody<'a>,
    /// Whether the response shall be a stream.
    pub stream: bool,
    /// The client's headers, of which a few are forwarded.
    pub client: &'a HeaderMap,
}
