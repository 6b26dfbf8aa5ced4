//! One completion from end to end.
