//! The surfaces of the API, which differ in the format of failures.

/// The format of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `/v1` and everything else: OpenAI's envelope.
    OpenAi,
    /// `/v1/messages`: Anthropic's envelope.
    Anthropic,
    /// `/api`: problem details (RFC 9457).
    Problem,
}

impl Surface {
    /// The surface that a path belongs to, whether or not there is a route.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match path {
            path if is_below(path, "/api") => Self::Problem,
            path if is_below(path, "/v1/messages") => Self::Anthropic,
            _ => Self::OpenAi,
        }
    }
}

/// Whether `path` is `root` or stands below it.
#[must_use]
pub(crate) fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
