//! The path that somebody most likely meant who asked for one that does not exist.
//!
//! Clients that are set up with a wrong base URL ask for `/chat/completions` or `/v1/v1/chat/completions`; the 404 names
//! the path that is right. A proposal only: nothing is redirected, since a redirected POST loses its body in some clients.

use super::{chat, events};

/// Paths that exist, without parameters.
const PATHS: [&str; 12] = [
    chat::PATH,
    "/v1/models",
    "/api/pets",
    "/api/orders",
    "/api/inventory",
    "/api/me",
    "/api/stats",
    events::PATH,
    "/metrics",
    "/healthz",
    "/readyz",
    "/",
];
/// Paths below which one more segment names a resource.
const PARENTS: [&str; 4] = ["/v1/models/", "/api/pets/", "/api/orders/", "/api/events/"];
/// Prefixes that are left out (`""`: one too many) or forgotten.
const PREFIXES: [&str; 3] = ["", "/v1", "/api"];
/// Longest path that is looked at, bytes.
const MAX_LEN: usize = 512;

/// The path that was most likely meant by `path`, if that can be told.
pub(super) fn meant_by(path: &str) -> Option<String> {
    if path.len() > MAX_LEN {
        return None;
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    // A base URL's own path may stand in front, such as /openai/v1 or /v1/v1.
    let ends = (0..segments.len()).map(|skipped| segments[skipped..].join("/"));
    let candidates = ends.flat_map(|end| PREFIXES.map(|prefix| format!("{prefix}/{end}")));
    let mut found = candidates.filter(|candidate| candidate != path && exists(candidate));
    found.next()
}

fn exists(path: &str) -> bool {
    let is_below = |parent: &str| path.strip_prefix(parent).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
    PATHS.contains(&path) || PARENTS.into_iter().any(is_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_prefix_a_double_slash_and_a_slash_at_the_end_lead_to_the_right_path() {
        for (path, meant) in [
            ("/chat/completions", "/v1/chat/completions"),
            ("/v1//chat/completions", "/v1/chat/completions"),
            ("//v1/chat/completions", "/v1/chat/completions"),
            ("/v1/chat/completions/", "/v1/chat/completions"),
            ("/v1/v1/chat/completions", "/v1/chat/completions"),
            ("/api/v1/chat/completions", "/v1/chat/completions"),
            ("/openai/chat/completions", "/v1/chat/completions"),
            ("/v1/models/", "/v1/models"),
            ("/models/gpt-4o", "/v1/models/gpt-4o"),
            ("/pets", "/api/pets"),
            ("/api/pets/", "/api/pets"),
            ("/api//pets/7", "/api/pets/7"),
            ("/events", "/api/events"),
            ("/healthz/", "/healthz"),
        ] {
            assert_eq!(meant_by(path).as_deref(), Some(meant), "{path}");
        }
    }

    #[test]
    fn nothing_is_proposed_for_what_resembles_no_path() {
        let long = format!("/chat/completions/{}", "x".repeat(MAX_LEN));
        for path in ["/", "", "/v1/nothing", "/api", "/v1", "*", "/completions/chat", "/v1/embeddings", &*long] {
            assert_eq!(meant_by(path), None, "{path}");
        }
    }
}
