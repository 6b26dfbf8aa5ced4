//! Pure data and codecs, no I/O.

pub mod key;
pub mod tokens;
