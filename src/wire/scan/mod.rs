//! A JSON scanner: one pass over a text, without building a tree (RFC 8259).
//!
//! Every chunk of every stream is checked to be well-formed and searched for a few members. A tree would cost more than
//! the rest of the proxy; a scan costs little more than finding where the strings end.

mod malformed;
mod scanner;
mod skip;
#[cfg(test)]
pub(super) mod steps;
mod string;

pub use malformed::Malformed;
pub use scanner::Scanner;
pub use string::find_special;
pub(super) use string::string_end;

#[cfg(test)]
mod tests;
