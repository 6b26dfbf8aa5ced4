//! petstream
fn main() {}
