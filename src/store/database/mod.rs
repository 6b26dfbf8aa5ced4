//! Statements for either database: one text with parameters `$1`, `$2` and so on, which SQLite and Postgres both take.
//!
//! Closed enums instead of type parameters: the functions of a subject are written once and compiled once. The few
//! statements that differ ask [`Executor::engine`].

mod arguments;
mod engine;
mod executor;
mod query;
mod row;

pub(super) use arguments::{Arguments, Bind};
pub(super) use engine::Engine;
pub(super) use executor::Executor;
pub(super) use query::Query;
pub(super) use row::{Column, Row};
