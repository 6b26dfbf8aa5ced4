//! The notification that a species is running low.

use serde::Serialize;

use crate::wire::resource::inventory::Inventory;
use crate::wire::resource::pet::Species;

/// The resource of a `notification` event, in the shape of its JSON.
#[derive(Debug, Serialize)]
pub(super) struct LowStock {
    level: &'static str,
    message: String,
    species: Species,
    available: u64,
}

/// A notification if the available pets of `species` fell from above `low` to `low` or less; none while they stay
/// there.
pub(super) fn low_stock(counts: &Inventory, species: Species, before: u64, low: u64) -> Option<LowStock> {
    let available = counts.available(species);
    if before <= low || available > low {
        return None;
    }
    let (level, number) = match available {
        0 => ("critical", "none is".to_owned()),
        1 => ("warning", "1 is".to_owned()),
        more => ("warning", format!("{more} are")),
    };
    let message = format!("{} is running low: {number} available.", species.name());
    Some(LowStock { level, message, species, available })
}
