//! `/api/pets`: the inventory.
//!
//! `GET /api/pets` takes `species`, `status`, `size`, `gender`, `breed`, `color` and `name` (several values by commas
//! or by repetition), `minPrice` and `maxPrice`, `minAge` and `maxAge` in months, `goodWithKids`, `sort`
//! (`createdAt`, `price`, `-price`, `age`, `-age`, `name`; default `createdAt`) and `limit` (1 to 100, default
//! 20). Its `next` is the path of the following page, or null. `POST` adds a pet.
//!
//! `GET`, `PUT`, `PATCH` (a merge patch, RFC 7396) and `DELETE /api/pets/{id}` honour `If-Match`; a patch that changes
//! nothing leaves the version as it is. Members of a pet: `body`. Failures are [`Problem`]s.

mod body;
mod query;
#[cfg(test)]
mod tests;

pub(super) use body::{SERVER_MEMBERS, named};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use self::query::ListQuery;
use super::body::BodyReader;
use super::json_body::{JSON, JsonBody, MERGE_PATCH};
use super::public_path::PublicPath;
use super::resource::Resource;
use super::{pagination, resource};
use crate::error::problem::Problem;
use crate::middleware::context::{Admitted, RequestContext};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::wire::resource::pet::Pet;

/// A pet's id in a path.
type Id = Result<Path<Uuid>, PathRejection>;

pub(super) async fn list(
    State(pets): State<PetStore>,
    State(public): State<PublicPath>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let wanted = ListQuery::parse(&query).map_err(Problem::invalid)?;
    let (last_key, since) = wanted.after.map(|token| (token.last_key, token.since)).unzip();
    let page = pets.list(&wanted.filter, wanted.sort, wanted.limit, last_key).await?;
    let next = page.value.next.map(|key| key.to_token());
    Ok(pagination::page(&public.of(Pet::LIST), &query, page.value.pets, next, &since.unwrap_or(page.cursor)))
}

pub(super) async fn one(State(pets): State<PetStore>, id: Id, headers: HeaderMap) -> Result<Response, Problem> {
    let pet = pets.get(resource::id(id, "pet")?).await?.ok_or_else(|| resource::absent("pet"))?;
    Ok(resource::if_changed(&pet, &headers))
}

pub(super) async fn create(
    State(pets): State<PetStore>,
    State(context): State<RequestContext<Admitted>>,
    State(bodies): State<BodyReader>,
    State(offload): State<Offload>,
    State(public): State<PublicPath>,
    request: Request,
) -> Result<Response, Problem> {
    let document = JsonBody::read(&bodies, &context, request, &JSON).await?;
    let read = |document: &JsonBody| Ok((body::new(document)?, document.idempotency_key()?));
    let (document, (fields, key)) = document.process(&offload, read).await?;
    Ok(resource::created(&pets.create_pet(document.caller(), fields, key.as_ref()).await?, &public))
}

pub(super) async fn replace(
    State(pets): State<PetStore>,
    State(context): State<RequestContext<Admitted>>,
    State(bodies): State<BodyReader>,
    State(offload): State<Offload>,
    id: Id,
    request: Request,
) -> Result<Response, Problem> {
    let document = JsonBody::read(&bodies, &context, request, &JSON).await?;
    let id = resource::id(id, "pet")?;
    let (document, edit) = document.process(&offload, body::replacement).await?;
    Ok(resource::whole(&pets.edit_pet(id, edit, &resource::expected(&document.headers)).await?))
}

pub(super) async fn patch(
    State(pets): State<PetStore>,
    State(context): State<RequestContext<Admitted>>,
    State(bodies): State<BodyReader>,
    State(offload): State<Offload>,
    id: Id,
    request: Request,
) -> Result<Response, Problem> {
    let document = JsonBody::read(&bodies, &context, request, &MERGE_PATCH).await?;
    let id = resource::id(id, "pet")?;
    let (document, edit) = document.process(&offload, body::patch).await?;
    Ok(resource::whole(&pets.edit_pet(id, edit, &resource::expected(&document.headers)).await?))
}

pub(super) async fn delete(State(pets): State<PetStore>, id: Id, headers: HeaderMap) -> Result<StatusCode, Problem> {
    pets.delete_pet(resource::id(id, "pet")?, &resource::expected(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}
