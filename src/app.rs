//! The server as a whole: from a configuration to a server that accepts connections, and to its end.
//!
//! [`start`] binds the listeners (`listen`), opens the adapters (`adapters`: database, keys, events), builds the state of the handlers
//! (`state`), starts the worker threads and serves (`server`, `connection`). [`Running`] is the handle of a server; its
//! end follows the phases of [`Shutdown`](crate::time::Shutdown). This module depends on all others but the command
//! line; nothing else depends on it.

mod adapters;
mod background;
mod client_socket;
mod client_stream;
mod config_watch;
mod connection;
mod control;
mod error;
mod file_stamp;
mod first_key;
mod generation;
mod listen;
mod listener_address;
mod reload;
mod replicas;
mod restart;
mod running;
mod secret_files;
mod server;
mod start;
mod state;
mod tls_files;
mod unix_path;
mod workers;

pub use control::ControlRequest;
pub use error::AppError;
pub use listen::InheritedSockets;
pub use listener_address::ListenerAddress;
pub use reload::{ReloadReport, Reloader};
pub use running::Running;
pub use start::{start, start_loaded, start_with};
