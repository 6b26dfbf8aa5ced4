//! Answers for paths that do not exist, and for methods that a path does not have.
//!
//! Clients that are set up with a wrong base URL request `/chat/completions` or `/v1/v1/chat/completions`: the 404
//! names the path that was most likely meant. It does not redirect, since some clients lose the body of a redirected
//! POST.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{Method, Uri};

use crate::error::problem::Problem;
use crate::error::{ApiError, Surface};

/// Prefixes that clients add once too often (and `""`), or forget.
const PREFIXES: [&str; 3] = ["", "/v1", "/api"];
/// Longest path for which a suggestion is looked for, bytes.
const MAX_LEN: usize = 512;

/// Answers 405, in the format of the path's surface. The router adds the `Allow` header.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    match Surface::of_path(uri.path()) {
        Surface::Problem => Problem::method_not_allowed().into_response(),
        Surface::OpenAi => ApiError::method_not_allowed(method.as_str(), uri.path()).into_response(),
        Surface::Anthropic => ApiError::method_not_allowed(method.as_str(), uri.path()).into_anthropic(),
    }
}

/// Answers 404, with a suggestion; cheap to clone.
#[derive(Clone)]
pub(super) struct NotFound {
    paths: Arc<Paths>,
}

/// The paths that exist.
struct Paths {
    /// Those without parameters.
    exact: Vec<&'static str>,
    /// Those whose last segment is a parameter, up to that segment.
    parents: Vec<&'static str>,
}

impl NotFound {
    /// `templates` are the paths of all routes.
    pub(super) fn new(templates: impl IntoIterator<Item = &'static str>) -> Self {
        let (with_parameters, exact): (Vec<_>, Vec<_>) =
            templates.into_iter().partition(|template| template.contains('{'));
        let parents = with_parameters.into_iter().filter_map(|template| template.split('{').next()).collect();
        Self { paths: Arc::new(Paths { exact, parents }) }
    }

    pub(super) fn answer(&self, method: &Method, uri: &Uri) -> Response {
        let path = uri.path();
        let suggestion = self.suggest(path);
        match Surface::of_path(path) {
            Surface::Problem => {
                let detail = match suggestion {
                    Some(suggestion) => format!("There is nothing here. Did you mean {suggestion}?"),
                    None => "There is nothing here.".to_owned(),
                };
                Problem::not_found(detail).into_response()
            }
            Surface::OpenAi => ApiError::no_path(method.as_str(), path, suggestion.as_deref()).into_response(),
            Surface::Anthropic => ApiError::no_path(method.as_str(), path, suggestion.as_deref()).into_anthropic(),
        }
    }

    /// The path that was most likely meant by `path`, if any resembles it.
    fn suggest(&self, path: &str) -> Option<String> {
        if path.len() > MAX_LEN {
            return None;
        }
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        // A base URL may have a path of its own in front, such as /openai/v1 or /v1/v1.
        let ends = (0..segments.len()).map(|skipped| segments[skipped..].join("/"));
        let candidates = ends.flat_map(|end| PREFIXES.map(|prefix| format!("{prefix}/{end}")));
        let mut found = candidates.filter(|candidate| candidate != path && self.exists(candidate));
        found.next()
    }

    fn exists(&self, path: &str) -> bool {
        let Paths { exact, parents } = &*self.paths;
        let is_child = |parent: &&str| path.strip_prefix(*parent).is_some_and(|id| !id.is_empty() && !id.contains('/'));
        exact.contains(&path) || parents.iter().any(is_child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found() -> NotFound {
        NotFound::new([
            "/v1/chat/completions",
            "/v1/models",
            "/v1/models/{*id}",
            "/api/pets",
            "/api/pets/{id}",
            "/api/events",
            "/healthz",
            "/",
        ])
    }

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
            assert_eq!(not_found().suggest(path).as_deref(), Some(meant), "{path}");
        }
    }

    #[test]
    fn nothing_is_suggested_for_a_path_that_resembles_no_route() {
        let long = format!("/chat/completions/{}", "x".repeat(MAX_LEN));
        for path in ["/", "", "/v1/nothing", "/api", "/v1", "*", "/completions/chat", "/v1/moderations", &*long] {
            assert_eq!(not_found().suggest(path), None, "{path}");
        }
    }
}
