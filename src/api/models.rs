//! `GET /v1/models` and `GET /v1/models/{id}`, as in OpenAI's API; as in Anthropic's for requests with the header
//! `anthropic-version`, which its clients always send.

use std::collections::HashSet;
use std::sync::Arc;

use async_openai::types::models::Model;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;

use super::state::AppState;
use crate::auth::context::AuthContext;
use crate::error::ApiError;
use crate::responder::MODEL;
use crate::upstream::ModelRoutes;
use crate::wire::operation::{Operation, Operations};

/// When petstore-ai was released, seconds since 1970.
const RELEASED: u32 = 1_795_392_000;

/// A list of models as in OpenAI's API.
#[derive(Serialize)]
struct ModelList {
    object: &'static str,
    data: Vec<ListedModel>,
}

/// A model as in OpenAI's API, and the operations that it serves.
#[derive(Serialize)]
struct ListedModel {
    #[serde(flatten)]
    model: Model,
    apis: Vec<&'static str>,
}

/// A list of models as in Anthropic's API: one page with all.
#[derive(Serialize)]
struct AnthropicList {
    data: Vec<AnthropicModel>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

/// A model as in Anthropic's API, and the operations that it serves.
#[derive(Serialize)]
struct AnthropicModel {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    display_name: String,
    created_at: Timestamp,
    apis: Vec<&'static str>,
}

impl From<ListedModel> for AnthropicModel {
    fn from(ListedModel { model, apis }: ListedModel) -> Self {
        let created_at = Timestamp::from_second(model.created.into()).unwrap_or_default();
        Self { kind: "model", display_name: model.id.clone(), id: model.id, created_at, apis }
    }
}

/// Every model that the key may use: the local one, the configured ones, then those of the `*` upstream.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    State(auth): State<AuthContext>,
    headers: HeaderMap,
) -> Response {
    let principal = auth.principal();
    let data: Vec<_> = all(&state).await.into_iter().filter(|listed| principal.may_use(&listed.model.id)).collect();
    if !is_anthropic(&headers) {
        return Json(ModelList { object: "list", data }).into_response();
    }
    let data: Vec<_> = data.into_iter().map(AnthropicModel::from).collect();
    let id = |model: Option<&AnthropicModel>| model.map(|model| model.id.clone());
    let (first_id, last_id) = (id(data.first()), id(data.last()));
    Json(AnthropicList { data, has_more: false, first_id, last_id }).into_response()
}

/// One model: a listed one, or any other that the `*` upstream serves.
pub(super) async fn retrieve(
    State(state): State<Arc<AppState>>,
    State(auth): State<AuthContext>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    // A name that is not UTF-8 is not that of a model.
    let id = id.map_or_else(|_| "\u{fffd}".to_owned(), |Path(id)| id);
    let found = if auth.principal().may_use(&id) { one(&state, &id).await } else { None };
    match (found, is_anthropic(&headers)) {
        (Some(found), false) => Json(found).into_response(),
        (Some(found), true) => Json(AnthropicModel::from(found)).into_response(),
        (None, false) => ApiError::no_model(&id).into_response(),
        (None, true) => ApiError::no_model(&id).into_anthropic(),
    }
}

fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

async fn one(state: &AppState, id: &str) -> Option<ListedModel> {
    let found = all(state).await.into_iter().find(|listed| listed.model.id == id);
    // Upstreams also serve models that they do not list: dated versions, aliases, fine-tuned models.
    found.or_else(|| state.routes.find(id).map(|routes| listed(model(id, "upstream"), routes.apis())))
}

async fn all(state: &AppState) -> Vec<ListedModel> {
    let mut seen = HashSet::new();
    let local = state.local_model.then(|| listed(model(MODEL, "petstream"), Operations::CHAT)).into_iter();
    let names = state.routes.names().iter();
    let configured = names.filter_map(|name| Some(listed(model(name, "upstream"), state.routes.find(name)?.apis())));
    let remote = state.remote_models.list().await;
    let apis = state.routes.catch_all().map(ModelRoutes::apis).unwrap_or_default();
    let all = local.chain(configured).chain(remote.iter().map(|model| listed(model.clone(), apis)));
    all.filter(|listed| seen.insert(listed.model.id.clone())).collect()
}

fn listed(model: Model, apis: Operations) -> ListedModel {
    ListedModel { model, apis: apis.iter().map(Operation::name).collect() }
}

fn model(id: &str, owner: &str) -> Model {
    Model {
        id: id.to_owned(),
        object: "model".to_owned(),
        created: RELEASED,
        owned_by: owner.to_owned(),
        shutdown_date: None,
    }
}
