//! The resources of the pet store as plain data: pets, orders and the inventory in the shape of their JSON, the filters
//! and pages in which they are listed, and exact money.
//!
//! The database (`store`), the rules (`petstore`), the local model (`responder`) and the HTTP surface (`api`) all use
//! these types, so they live below all of them. Nothing here does I/O or decides whether a change is allowed.

#[macro_use]
mod word_enum;

pub mod filter;
pub mod inventory;
pub mod money;
pub mod order;
pub mod page;
pub mod pet;
pub mod vocabulary;
