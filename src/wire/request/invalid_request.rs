//! Why a request is rejected, with the code, the parameter and the message that OpenAI's API has for it.

use std::fmt::Display;

use super::json_type::type_name;

/// How much of a client's own text a message quotes, characters.
const MAX_QUOTED: usize = 64;

/// A request is rejected: becomes a 400 of type `invalid_request_error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    /// The machine-readable cause, where OpenAI's API has one.
    pub code: Option<&'static str>,
    /// The path of the parameter that is wrong: `messages[0].role`.
    pub param: Option<String>,
    /// The message for people. Quotes at most 64 characters of the client's own text.
    pub message: String,
}

impl InvalidRequest {
    fn new(code: &'static str, param: impl Display, message: String) -> Self {
        Self { code: Some(code), param: Some(param.to_string()), message }
    }

    /// The body is not JSON, or not an object.
    #[must_use]
    pub(crate) fn unreadable() -> Self {
        Self {
            code: None,
            param: None,
            message:
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
                      HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
                    .to_owned(),
        }
    }

    /// The body nests deeper than `limit`.
    #[must_use]
    pub(in crate::wire) fn too_deep(limit: usize) -> Self {
        Self {
            code: None,
            param: None,
            message: format!("We could not parse the JSON body of your request: it nests deeper than {limit} levels."),
        }
    }

    /// `model` is absent, null or empty.
    #[must_use]
    pub(in crate::wire) fn no_model() -> Self {
        Self { code: None, param: None, message: "you must provide a model parameter".to_owned() }
    }

    /// A required parameter is absent or null.
    #[must_use]
    pub(in crate::wire) fn missing(param: impl Display) -> Self {
        Self::new("missing_required_parameter", &param, format!("Missing required parameter: '{param}'."))
    }

    /// A parameter is repeated: which of its values counts differs between servers.
    #[must_use]
    pub(in crate::wire) fn repeated(param: impl Display) -> Self {
        Self::new("duplicate_parameter", &param, format!("Duplicate parameter: '{param}' stands more than once."))
    }

    /// A parameter whose name some servers take for `known`.
    #[must_use]
    pub(in crate::wire) fn misspelt(param: &str, known: impl Display) -> Self {
        let param = quoted(param);
        let message = format!("Unknown parameter: '{param}'. Some servers take it for '{known}': use that name.");
        Self::new("unknown_parameter", param, message)
    }

    /// A parameter that may name other models than `model`, with an API key that is limited to certain models.
    #[must_use]
    pub(crate) fn other_models(param: &str) -> Self {
        let message = format!(
            "Unsupported parameter: '{param}' is not supported with this API key, which is limited to certain models: \
             it could name others."
        );
        Self::new("unsupported_parameter", param, message)
    }

    /// A parameter that OpenAI's API does not define.
    #[must_use]
    pub(in crate::wire) fn unknown(param: &str) -> Self {
        let param = quoted(param);
        Self::new("unknown_parameter", &param, format!("Unknown parameter: '{param}'."))
    }

    /// A parameter that has no counterpart in the API that the model's upstream speaks.
    #[must_use]
    pub(in crate::wire) fn untranslatable(param: impl Display) -> Self {
        let param = param.to_string();
        let message = format!(
            "Unsupported parameter: '{param}' is not supported with this model: it speaks another API, which has no \
             counterpart for it."
        );
        Self::new("unsupported_parameter", param, message)
    }

    /// A value of the wrong JSON type. `expected` has its article: `a string`.
    #[must_use]
    pub(in crate::wire) fn wrong_type(param: impl Display, expected: &str, found: &str) -> Self {
        let message = format!("Invalid type for '{param}': expected {expected}, but got {} instead.", type_name(found));
        Self::new("invalid_type", param, message)
    }

    /// An array without elements.
    #[must_use]
    pub(in crate::wire) fn empty_array(param: impl Display) -> Self {
        let message = format!(
            "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        );
        Self::new("empty_array", param, message)
    }

    /// An array with too many elements.
    #[must_use]
    pub(in crate::wire) fn long_array(param: impl Display, max: usize, found: usize) -> Self {
        let message = format!(
            "Invalid '{param}': array too long. Expected an array with maximum length {max}, but got an array with \
             length {found} instead."
        );
        Self::new("array_above_max_length", param, message)
    }

    /// A string that is too long. Lengths are in characters.
    #[must_use]
    pub(in crate::wire) fn long_string(param: impl Display, max: usize, found: usize) -> Self {
        let message = format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {max}, but got a string with \
             length {found} instead."
        );
        Self::new("string_above_max_length", param, message)
    }

    /// An object with too many members.
    #[must_use]
    pub(in crate::wire) fn many_members(param: impl Display, max: usize, found: usize) -> Self {
        let message = format!(
            "Invalid '{param}': too many properties. Expected an object with at most {max} properties, but got an \
             object with {found} properties instead."
        );
        Self::new("object_above_max_properties", param, message)
    }

    /// A string that is none of the `supported` ones.
    #[must_use]
    pub(in crate::wire) fn value(param: impl Display, found: &str, supported: &[&str]) -> Self {
        let list = match supported {
            [all @ .., last] if !all.is_empty() => format!("'{}', and '{last}'", all.join("', '")),
            other => format!("'{}'", other.join("', '")),
        };
        let found = quoted(found);
        Self::new("invalid_value", param, format!("Invalid value: '{found}'. Supported values are: {list}."))
    }

    /// A parameter that this server does not support with any model.
    #[must_use]
    pub(in crate::wire) fn unsupported(param: impl Display, message: &str) -> Self {
        Self::new("unsupported_parameter", param.to_string(), message.to_owned())
    }

    /// A value of the right type that is not what it must be. `expected` has its article.
    #[must_use]
    pub(in crate::wire) fn unfit(param: impl Display, expected: &str) -> Self {
        let message = format!("Invalid value for '{param}': expected {expected}.");
        Self::new("invalid_value", param, message)
    }

    /// Two parameters that exclude each other.
    #[must_use]
    pub(in crate::wire) fn conflict(param: impl Display, message: &str) -> Self {
        Self { code: None, param: Some(param.to_string()), message: message.to_owned() }
    }

    /// A number out of its range.
    #[must_use]
    pub(in crate::wire) fn out_of_range(
        param: impl Display,
        kind: NumberKind,
        side: RangeSide,
        limit: &str,
        found: &str,
    ) -> Self {
        let (relation, sign) = match side {
            RangeSide::Above => ("above maximum", "<="),
            RangeSide::Below => ("below minimum", ">="),
        };
        let code = match (kind, side) {
            (NumberKind::Integer, RangeSide::Above) => "integer_above_max_value",
            (NumberKind::Integer, RangeSide::Below) => "integer_below_min_value",
            (NumberKind::Decimal, RangeSide::Above) => "decimal_above_max_value",
            (NumberKind::Decimal, RangeSide::Below) => "decimal_below_min_value",
        };
        let found = quoted(found);
        let message = format!(
            "Invalid '{param}': {kind} {relation} value. Expected a value {sign} {limit}, but got {found} instead."
        );
        Self::new(code, param, message)
    }
}

/// The beginning of a client's own text, enough to recognise it.
pub(in crate::wire) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum NumberKind {
    Integer,
    /// A number with or without a fraction.
    Decimal,
}

impl std::fmt::Display for NumberKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Integer { "integer" } else { "decimal" })
    }
}

/// The side of its range on which a number lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum RangeSide {
    Above,
    Below,
}
