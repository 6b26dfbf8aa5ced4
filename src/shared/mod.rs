//! What the replicas of one installation share, in Redis. Without Redis there is one replica, and nothing here runs.
//!
//! [`redis`] is the client that everything else goes through: it bounds the time of each call, and reconnects in the
//! background. Depends on `config`, `time` and `wire` only; metrics are recorded through [`redis::Observer`].

pub mod redis;
mod replica_id;

pub use replica_id::ReplicaId;
