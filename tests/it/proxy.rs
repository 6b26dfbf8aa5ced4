//! Requests and answers that pass through the proxy.

mod base_url;
mod cancel;
mod connections;
mod decoding;
mod first_frames;
mod forwarding;
mod models;
mod refusals;
mod unix_socket;
mod unsolicited_bytes;
mod usage;

use test_support::frames::{first, last, text};
use test_support::upstream::Script;

/// A stream of these tokens.
fn says(words: &[&str]) -> Script {
    let words = words.iter().map(|word| text(word));
    Script::sse([first()].into_iter().chain(words).chain([last("stop"), "[DONE]".to_owned()]))
}
