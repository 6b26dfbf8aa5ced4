//! The headers of a stream of server-sent events.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The content type of live events (WHATWG HTML, section 9.2).
pub const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The content type of completions, with the charset that the OpenAI API sends.
pub const EVENT_STREAM_UTF8: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// Keeps proxies such as nginx from buffering the stream.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sets the headers of an event stream: its type, and that nothing between here and the client stores or delays it.
pub fn set_stream_headers(headers: &mut HeaderMap, content_type: HeaderValue) {
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
}
