//! `GET /api/pets` and `GET /api/pets/{id}`: the inventory, read only.
//!
//! The list takes `species`, `status`, `size`, `gender`, `breed`, `color` and `name` (several values by commas
//! or by repetition), `minPrice` and `maxPrice`, `minAge` and `maxAge` in months, `goodWithKids`, `sort`
//! (`createdAt`, `price`, `-price`, `age`, `-age`, `name`; default `createdAt`) and `limit` (1 to 100, default
//! 20). Its `next` is the path of the following page, or null. Failures are [`Problem`]s.

mod query;
#[cfg(test)]
mod tests;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, Path, RawQuery, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use uuid::Uuid;

use self::query::ListQuery;
use super::parameters;
use crate::error::problem::Problem;
use crate::petstore::PetStore;
use crate::petstore::pet::Pet;

const PATH: &str = "/api/pets";

/// A page of the list.
#[derive(Debug, Serialize)]
struct PetList {
    data: Vec<Pet>,
    next: Option<String>,
}

/// The routes of pets. Who may use them is a layer's business.
pub fn router<S>() -> Router<S>
where
    PetStore: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route(PATH, get(list))
        .route("/api/pets/{id}", get(one))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
}

async fn list(State(pets): State<PetStore>, RawQuery(query): RawQuery) -> Result<Json<PetList>, Problem> {
    let query = query.unwrap_or_default();
    let wanted = ListQuery::parse(&query).map_err(Problem::invalid)?;
    let page = pets.find(&wanted.filter, wanted.sort, wanted.limit, wanted.after).await?;
    let next = page.next.map(|key| parameters::path_with(PATH, &query, query::AFTER, &key.to_token()));
    Ok(Json(PetList { data: page.pets, next }))
}

/// What is no id names no pet: 404 for both.
async fn one(State(pets): State<PetStore>, id: Result<Path<Uuid>, PathRejection>) -> Result<Json<Pet>, Problem> {
    let pet = match id {
        Ok(Path(id)) => pets.get(id).await?,
        Err(_) => None,
    };
    pet.map(Json).ok_or_else(|| Problem::not_found("There is no pet with this id."))
}
