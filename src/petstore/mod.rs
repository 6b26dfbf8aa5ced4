//! The pet store's rules: commands that change pets and orders, and queries that read them.
//!
//! A command is one transaction of the [store](crate::store), the only one that writes at that time. It checks the
//! rules, then writes the new state, the events that report it, and the answer to its idempotency key: all of them or
//! none. A commit is announced to the subscribers of live events. Resources are the plain data of
//! [`crate::wire::resource`].
//!
//! Events of a command: one of `pet-status-changed` (the status changed, whatever else did) and `pet-update` (any other
//! change of a pet); `order-created` or `order-status-changed`; `inventory-changed` when a count changed; and
//! `notification` when the available pets of a species fell to the configured number.

mod capacity;
mod change;
mod command_error;
mod commit_notifier;
mod idempotency;
mod low_stock;
mod order_commands;
mod pet_commands;
mod pet_store;
mod queries;
mod seed;

pub use capacity::Capacity;
pub use command_error::{CommandError, ExpectedVersion};
pub use idempotency::{Created, IdempotencyKey};
pub use pet_store::PetStore;

#[cfg(test)]
mod tests;
