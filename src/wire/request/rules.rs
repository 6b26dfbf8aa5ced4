//! The rules for checking requests.

/// The treatment of parameters that OpenAI's API does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownMembers {
    /// They are forwarded, and so are values beyond OpenAI's ranges: other servers define more.
    Pass,
    /// They are rejected with `unknown_parameter`, and OpenAI's types and ranges are enforced.
    Refuse,
}

/// The rules for checking requests; the same for all requests of a server.
#[derive(Clone, Copy, Debug)]
pub struct RequestRules {
    /// The deepest nesting of objects and arrays, the body's own object included.
    pub json_depth: usize,
    /// The treatment of parameters that OpenAI's API does not define.
    pub unknown: UnknownMembers,
    /// The model that petstream answers itself, if any. OpenAI's types and ranges are always enforced for it.
    pub local_model: Option<&'static str>,
}

/// How much of a request is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    /// Only the members that routing, limits and accounting need.
    Routing,
    /// OpenAI's types and ranges as well.
    OpenAi,
}
