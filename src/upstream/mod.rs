//! Upstreams: the targets of each model, their health, and when a request may be retried.
//!
//! Requests are sent through [`http::client`](crate::http::client), whose errors become a [`Failure`] here. Dropping a
//! request or the body of its response closes the connection, which cancels the request at the upstream.

mod affinity;
mod backoff;
mod budget;
mod credential;
mod failure;
mod health;
mod models;
mod request;
mod response;
mod retry_after;
mod routes;
mod status;
mod table;
mod target;

pub use affinity::SessionKey;
pub use credential::UpstreamCredential;
pub use failure::{Deadline, Failure, Refusal};
pub use models::RemoteModels;
pub use request::UpstreamRequest;
pub use response::{Media, UpstreamBody, UpstreamResponse};
pub use routes::{Lease, Pick, Route};
pub use status::{TargetState, TargetStatus};
pub use table::{CurrentRoutes, ModelRoutes, Routes};
pub use target::Target;
