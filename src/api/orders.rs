//! `/api/orders`: orders of pets.
//!
//! `POST` with `petId` orders an available pet, which becomes `PENDING`; price and currency are the pet's of that
//! moment. `GET` lists, oldest first, and takes `status` (several by commas or by repetition), `petId` and `limit`.
//! `PATCH /api/orders/{id}` sets the `status`: `PLACED` to `APPROVED` to `SHIPPED` to `DELIVERED`, which makes the pet
//! `ADOPTED`; `PLACED` or `APPROVED` to `CANCELLED`, which makes it `AVAILABLE`. An order that has been
//! shipped can't be cancelled. Other transitions are 409; setting the same status again changes nothing.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::Response;
use http::HeaderMap;
use uuid::Uuid;

use super::body::BodyReader;
use super::json_body::{JSON, JsonBody, MERGE_PATCH, Otherwise, Purpose, text};
use super::pagination::{self, AFTER, DEFAULT_LIMIT, MAX_LIMIT, PageToken};
use super::parameters::{Parameters, named};
use super::pets;
use super::public_path::PublicPath;
use super::resource::{self, Resource};
use crate::error::problem::{FieldError, Problem};
use crate::middleware::context::{Admitted, RequestContext};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::wire::resource::order::{Order, OrderFilter, OrderStatus};

/// Longest way to write an id, characters.
const MAX_ID_LEN: usize = 45;

/// An order's id in a path.
type Id = Result<Path<Uuid>, PathRejection>;

/// The query of the list.
#[derive(Debug, PartialEq, Eq)]
struct ListQuery {
    filter: OrderFilter,
    limit: u32,
    after: Option<PageToken<Uuid>>,
}

impl ListQuery {
    fn parse(query: &str) -> Result<Self, Vec<FieldError>> {
        let id = |text: &str| Uuid::try_parse(text).ok();
        let limit = format!("a whole number from 1 to {MAX_LIMIT}");
        let mut given = Parameters::read(query);
        let wanted = Self {
            filter: OrderFilter {
                status: named(&mut given, "status", OrderStatus::ALL, OrderStatus::name, OrderStatus::from_name),
                pet: given.one("petId", "the id of a pet", id),
            },
            limit: given.one("limit", &limit, pagination::read_limit).unwrap_or(DEFAULT_LIMIT),
            after: given.one(AFTER, "a token taken from `next`", |token| PageToken::read(token, id)),
        };
        given.finish()?;
        Ok(wanted)
    }
}

pub(super) async fn list(
    State(store): State<PetStore>,
    State(public): State<PublicPath>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let wanted = ListQuery::parse(&query).map_err(Problem::invalid)?;
    let (last_key, since) = wanted.after.map(|token| (token.last_key, token.since)).unzip();
    let page = store.orders(&wanted.filter, wanted.limit, last_key).await?;
    let next = page.value.next.map(|id| id.to_string());
    Ok(pagination::page(&public.of(Order::LIST), &query, page.value.orders, next, &since.unwrap_or(page.cursor)))
}

pub(super) async fn one(State(store): State<PetStore>, id: Id, headers: HeaderMap) -> Result<Response, Problem> {
    let order = store.order(resource::id(id, "order")?).await?.ok_or_else(|| resource::absent("order"))?;
    Ok(resource::if_changed(&order, &headers))
}

pub(super) async fn place(
    State(store): State<PetStore>,
    State(context): State<RequestContext<Admitted>>,
    State(bodies): State<BodyReader>,
    State(offload): State<Offload>,
    State(public): State<PublicPath>,
    request: Request,
) -> Result<Response, Problem> {
    let document = JsonBody::read(&bodies, &context, request, &JSON).await?;
    let read = |document: &JsonBody| {
        let mut given = document.object(Purpose::Whole)?;
        let id = |json: &str| Uuid::try_parse(&text(json, MAX_ID_LEN)?).ok();
        let pet = given.member("petId", "the id of a pet", Otherwise::Required, id);
        given.finish()?;
        Ok((pet.ok_or_else(Problem::internal)?, document.idempotency_key()?))
    };
    let (document, (pet, key)) = document.process(&offload, read).await?;
    Ok(resource::created(&store.place_order(document.caller(), pet, key.as_ref()).await?, &public))
}

pub(super) async fn patch(
    State(store): State<PetStore>,
    State(context): State<RequestContext<Admitted>>,
    State(bodies): State<BodyReader>,
    State(offload): State<Offload>,
    id: Id,
    request: Request,
) -> Result<Response, Problem> {
    let document = JsonBody::read(&bodies, &context, request, &MERGE_PATCH).await?;
    let id = resource::id(id, "order")?;
    let read = |document: &JsonBody| {
        let mut given = document.object(Purpose::Patch)?;
        given.ignore(&pets::SERVER_MEMBERS);
        let (all, unchanged) = (OrderStatus::ALL, Otherwise::Unchanged);
        let to = pets::named(&mut given, "status", all, unchanged, OrderStatus::name, OrderStatus::from_name);
        given.finish()?;
        Ok(to)
    };
    let (document, to) = document.process(&offload, read).await?;
    Ok(resource::whole(&store.move_order(id, to, &resource::expected(&document.headers)).await?))
}
