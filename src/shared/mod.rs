//! What the replicas of one installation share, in Redis. Without Redis there is one replica, and nothing here runs.
//!
//! [`redis`] is the client that everything else goes through: it bounds the time of each call, and reconnects in the
//! background. Depends on `config` and `time` only; what is measured goes to [`redis::Observer`] and
//! [`NotificationMeter`].

mod notifications;
pub mod redis;
mod replica_id;
mod replicas;

pub use notifications::{CommitNotifications, NotificationMeter};
pub use replica_id::ReplicaId;
pub use replicas::{ReplicaSample, Replicas};
