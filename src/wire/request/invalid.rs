//! What is wrong with a request, in the contract's words.

use std::fmt::Display;

/// Longest part of a client's own text that is told back, characters.
const MAX_QUOTED: usize = 64;

/// A refusal: becomes 400 `invalid_request_error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Machine-readable cause, where the contract has one.
    pub code: Option<&'static str>,
    /// The parameter that is wrong, with its path: `messages[0].role`.
    pub param: Option<String>,
    /// For people.
    pub message: String,
}

impl Invalid {
    fn new(code: &'static str, param: impl Display, message: String) -> Self {
        Self { code: Some(code), param: Some(param.to_string()), message }
    }

    /// Not JSON, or not an object.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            code: None,
            param: None,
            message:
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
                      HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
                    .to_owned(),
        }
    }

    /// Nested too deeply to be read.
    #[must_use]
    pub fn too_deep(limit: usize) -> Self {
        Self {
            code: None,
            param: None,
            message: format!("We could not parse the JSON body of your request: it nests deeper than {limit} levels."),
        }
    }

    /// No model.
    #[must_use]
    pub fn no_model() -> Self {
        Self { code: None, param: None, message: "you must provide a model parameter".to_owned() }
    }

    /// A required parameter is absent or null.
    #[must_use]
    pub fn missing(param: impl Display) -> Self {
        Self::new("missing_required_parameter", &param, format!("Missing required parameter: '{param}'."))
    }

    /// A parameter that may stand once stands twice.
    #[must_use]
    pub fn repeated(param: impl Display) -> Self {
        Self::new("duplicate_parameter", &param, format!("Duplicate parameter: '{param}' stands more than once."))
    }

    /// A parameter whose name a lenient reader takes for that of `known`.
    #[must_use]
    pub fn misspelt(param: &str, known: impl Display) -> Self {
        let param = quoted(param);
        let message = format!("Unknown parameter: '{param}'. Some servers take it for '{known}': use that name.");
        Self::new("unknown_parameter", param, message)
    }

    /// A parameter that names other models than `model`, from a key that may use a few only.
    #[must_use]
    pub fn other_models(param: &str) -> Self {
        let message = format!(
            "Unsupported parameter: '{param}' is not supported with this API key, which is limited to certain models: \
             it could name others."
        );
        Self::new("unsupported_parameter", param, message)
    }

    /// A parameter that the API does not know.
    #[must_use]
    pub fn unknown(param: &str) -> Self {
        let param = quoted(param);
        Self::new("unknown_parameter", &param, format!("Unknown parameter: '{param}'."))
    }

    /// Another JSON type than the contract's. `expected` has its article: `a string`.
    #[must_use]
    pub fn wrong_type(param: impl Display, expected: &str, found: &str) -> Self {
        let message =
            format!("Invalid type for '{param}': expected {expected}, but got {} instead.", super::shape::kind(found));
        Self::new("invalid_type", param, message)
    }

    /// An array with too few elements.
    #[must_use]
    pub fn empty_array(param: impl Display) -> Self {
        let message = format!(
            "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        );
        Self::new("empty_array", param, message)
    }

    /// An array with too many elements.
    #[must_use]
    pub fn long_array(param: impl Display, most: usize, found: usize) -> Self {
        let message = format!(
            "Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with \
             length {found} instead."
        );
        Self::new("array_above_max_length", param, message)
    }

    /// A text that is too long.
    #[must_use]
    pub fn long_string(param: impl Display, most: usize, found: usize) -> Self {
        let message = format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with \
             length {found} instead."
        );
        Self::new("string_above_max_length", param, message)
    }

    /// An object with too many members.
    #[must_use]
    pub fn many_members(param: impl Display, most: usize, found: usize) -> Self {
        let message = format!(
            "Invalid '{param}': too many properties. Expected an object with at most {most} properties, but got an \
             object with {found} properties instead."
        );
        Self::new("object_above_max_properties", param, message)
    }

    /// A word that is none of the contract's.
    #[must_use]
    pub fn value(param: impl Display, found: &str, supported: &[&str]) -> Self {
        let list = match supported {
            [all @ .., last] if !all.is_empty() => format!("'{}', and '{last}'", all.join("', '")),
            other => format!("'{}'", other.join("', '")),
        };
        let found = quoted(found);
        Self::new("invalid_value", param, format!("Invalid value: '{found}'. Supported values are: {list}."))
    }

    /// Two parameters that do not go together, in plain words.
    #[must_use]
    pub fn conflict(param: impl Display, message: &str) -> Self {
        Self { code: None, param: Some(param.to_string()), message: message.to_owned() }
    }

    /// A number out of its range; `kind` is `integer` or `decimal`.
    #[must_use]
    pub fn out_of_range(param: impl Display, kind: Kind, bound: Bound, limit: &str, found: &str) -> Self {
        let (side, sign) = match bound {
            Bound::Above => ("above maximum", "<="),
            Bound::Below => ("below minimum", ">="),
        };
        let code = match (kind, bound) {
            (Kind::Integer, Bound::Above) => "integer_above_max_value",
            (Kind::Integer, Bound::Below) => "integer_below_min_value",
            (Kind::Decimal, Bound::Above) => "decimal_above_max_value",
            (Kind::Decimal, Bound::Below) => "decimal_below_min_value",
        };
        let found = quoted(found);
        let message = format!(
            "Invalid '{param}': {kind} {side} value. Expected a value {sign} {limit}, but got {found} instead."
        );
        Self::new(code, param, message)
    }
}

/// A client's own text: enough of it to be recognised.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

/// Which kind of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole.
    Integer,
    /// With or without a fraction.
    Decimal,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Integer { "integer" } else { "decimal" })
    }
}

/// On which side of its range a number lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Too great.
    Above,
    /// Too small.
    Below,
}
