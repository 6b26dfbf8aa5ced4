//! The tables of usage records: written in batches, read as totals, deleted when they are old.

mod insert;
mod old;
mod requests;
mod retention;
mod row;
mod series;
mod totals;
mod write;

pub(super) use old::copy_old_usage;
pub use row::UsageRow;
pub(super) use series::{NUMBERS_OF_A_BLOCK, SeriesCache};
pub use totals::{UsageColumn, UsageCounts, UsageGroup};

#[cfg(test)]
mod tests;
