//! `GET /v1/models` and `GET /v1/models/{id}`.

use std::collections::HashSet;
use std::sync::Arc;

use async_openai::types::models::Model;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
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
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<ListedModel>,
}

/// A model as in OpenAI's API, and the operations that it serves.
#[derive(Serialize)]
pub(super) struct ListedModel {
    #[serde(flatten)]
    model: Model,
    apis: Vec<&'static str>,
}

/// Every model that the key may use: the local one, the configured ones, then those of the `*` upstream.
pub(super) async fn list(State(state): State<Arc<AppState>>, State(auth): State<AuthContext>) -> Json<ModelList> {
    let principal = auth.principal();
    let data = all(&state).await.into_iter().filter(|listed| principal.may_use(&listed.model.id)).collect();
    Json(ModelList { object: "list", data })
}

/// One model: a listed one, or any other that the `*` upstream serves.
pub(super) async fn retrieve(
    State(state): State<Arc<AppState>>,
    State(auth): State<AuthContext>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ListedModel>, ApiError> {
    // A name that is not UTF-8 is not that of a model.
    let Path(id) = id.map_err(|_| ApiError::no_model("\u{fffd}"))?;
    if !auth.principal().may_use(&id) {
        return Err(ApiError::no_model(&id));
    }
    let found = all(&state).await.into_iter().find(|listed| listed.model.id == id);
    // Upstreams also serve models that they do not list: dated versions, aliases, fine-tuned models.
    let unlisted = || state.routes.find(&id).map(|routes| listed(model(&id, "upstream"), routes.apis()));
    found.or_else(unlisted).map(Json).ok_or_else(|| ApiError::no_model(&id))
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
