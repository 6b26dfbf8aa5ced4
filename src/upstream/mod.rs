//! Upstreams: connections, their pool, and the table of routes.
