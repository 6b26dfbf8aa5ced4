//! `GET /api/inventory`: how many pets there are, by status, by species, and by both.
//!
//! `inventory-changed` events have the same data, but for the cursor, which belongs to this response.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::pagination::with_cursor;
use crate::error::problem::Problem;
use crate::petstore::PetStore;
use crate::wire::resource::inventory::Inventory;

/// The counts, with the cursor that they are consistent with.
#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    inventory: Inventory,
    cursor: String,
}

pub(super) async fn count(State(pets): State<PetStore>) -> Result<Response, Problem> {
    let snapshot = pets.inventory().await?;
    let cursor = snapshot.cursor.to_string();
    let counted = Json(Counted { inventory: snapshot.value, cursor: cursor.clone() });
    Ok(with_cursor(counted.into_response(), &cursor))
}
