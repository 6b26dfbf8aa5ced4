//! The gateways that are measured: petstream with every feature on, nginx as a plain relay, or none, where clients
//! reach the upstream directly.

mod gateway;
mod kind;
mod nginx;
mod petstream;

pub(crate) use gateway::Gateway;
pub(crate) use kind::Kind;
