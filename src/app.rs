//! Configuration to running server.
