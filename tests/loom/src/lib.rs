//! Concurrency of petstream under loom: every interleaving, and every value that a load may return, up to a bound.
//!
//! The modules are petstream's own source files. They take atomics, locks and notifications from `crate::sync`, which
//! here is loom's. A model sets up a small scene around one of them and asserts what must hold in all executions; a
//! thread that waits forever is a failure too. The models are in the library, since they use private items;
//! `tests/models.rs` runs them. They are not under `--cfg test`: the unit tests in the included files are for the
//! real primitives.
//!
//! tokio's and futures' primitives are models after their documentation, over a lock ([`sync`]): faults inside these
//! crates, or an ordering that only their implementation leaves open, are not found.

pub mod completion;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/wire/event.rs"]
mod event;
pub mod events;
pub mod shutdown;
mod sync;
pub mod usage;

/// As in petstream.
mod wire {
    pub(crate) use crate::event;

    /// Events without their bytes.
    pub(crate) mod event_frame {
        use super::event::Topic;

        #[derive(Debug)]
        pub struct EncodedEvent {
            pub seq: u64,
            pub topic: Topic,
        }

        impl EncodedEvent {
            pub const fn len(&self) -> usize {
                100
            }
        }

        #[derive(Clone, Debug)]
        pub struct EphemeralFrame(pub u64);
    }
}

/// As in petstream.
mod bound {
    /// A permit of a subscriber; there are always enough.
    pub struct Grant;
}

/// As in petstream.
mod store {
    /// The log in memory does not fail.
    #[derive(Debug)]
    pub enum StoreError {}

    pub(crate) mod event_log {
        use crate::event::Epoch;

        /// The position of the log.
        pub struct LogPosition {
            pub epoch: Epoch,
            pub head: u64,
            pub pruned: u64,
        }

        /// Events after a position of the log.
        pub struct LogPage {
            pub at: LogPosition,
            pub events: Vec<crate::wire::event_frame::EncodedEvent>,
            pub to: u64,
        }
    }
}

/// Runs `scene` in every execution with at most `preemptions` preemptions.
fn check(preemptions: usize, scene: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    // Bounds executions, so that an endless loop is a failure.
    model.max_branches = 10_000;
    model.check(scene);
}
