//! The type of a JSON value, determined from its text. The value must be well-formed.

/// The type with its article, as OpenAI's messages name it: `a string`, `an integer`.
pub(super) fn type_name(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if is_integer(value) => "an integer",
        _ => "a decimal",
    }
}

pub(super) fn is_number(value: &str) -> bool {
    matches!(value.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

/// Whether a number is written without a fraction and an exponent.
pub(super) fn is_integer(number: &str) -> bool {
    !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}
