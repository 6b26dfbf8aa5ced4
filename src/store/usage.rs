//! The tables of usage records: written in batches, read as totals, deleted when they are old.

mod insert;
mod requests;
mod retention;
mod row;
mod series;
mod totals;
mod write;

pub use row::UsageRow;
pub(super) use series::SeriesCache;
pub use totals::{UsageColumn, UsageCounts, UsageGroup};

#[cfg(test)]
mod tests;
