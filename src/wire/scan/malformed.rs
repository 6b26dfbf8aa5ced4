//! The error of the scanner.

/// The text is not JSON, or a value is of another type than the requested one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;
