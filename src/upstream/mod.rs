//! Upstreams: connections, their pool, and the table that says where a model is served.
//!
//! An exchange has no task of its own: whoever awaits the head or polls the body drives the connection beneath it.
//! So each request is one task, dropping it closes its connection (that is how a cancel reaches the upstream), and
//! nothing is read that the client has not made room for.

mod answer;
mod backoff;
mod budget;
mod connection;
mod connector;
mod credential;
mod exchange;
mod failure;
mod head;
mod health;
mod models;
mod pool;
mod request;
mod retry_after;
mod routes;
mod socket;
mod status;
mod stream;
mod target;
mod tls;

pub use answer::{Answer, AnswerBody};
pub use credential::UpstreamCredential;
pub use failure::{Deadline, Failure, Refusal};
pub use head::Media;
pub use models::RemoteModels;
pub use routes::{Lease, Pick, Route, Routes};
pub use status::{TargetState, TargetStatus};
pub use target::{Ask, Target};
pub use tls::{TlsError, system_tls};
