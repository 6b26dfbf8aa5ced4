//! `GET /v1/models` and `GET /v1/models/{id}`.

use std::collections::HashSet;
use std::sync::Arc;

use async_openai::types::models::{ListModelResponse, Model};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::state::AppState;
use crate::auth::context::AuthContext;
use crate::error::ApiError;
use crate::responder::MODEL;

/// When petstore-ai was released, seconds since 1970.
const RELEASED: u32 = 1_795_392_000;

/// Every model that the key may use: the local one, the configured ones, then those of the `*` upstream.
pub(super) async fn list(
    State(state): State<Arc<AppState>>,
    State(auth): State<AuthContext>,
) -> Json<ListModelResponse> {
    let principal = auth.principal();
    let data = all(&state).await.into_iter().filter(|model| principal.may_use(&model.id)).collect();
    Json(ListModelResponse { object: "list".to_owned(), data })
}

/// One model: a listed one, or any other that the `*` upstream serves.
pub(super) async fn retrieve(
    State(state): State<Arc<AppState>>,
    State(auth): State<AuthContext>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    // A name that is not UTF-8 is not that of a model.
    let Path(id) = id.map_err(|_| ApiError::no_model("\u{fffd}"))?;
    if !auth.principal().may_use(&id) {
        return Err(ApiError::no_model(&id));
    }
    let listed = all(&state).await.into_iter().find(|model| model.id == id);
    // Upstreams also serve models that they do not list: dated versions, aliases, fine-tuned models.
    let unlisted = || state.routes.find(&id).map(|_| model(&id, "upstream"));
    listed.or_else(unlisted).map(Json).ok_or_else(|| ApiError::no_model(&id))
}

async fn all(state: &AppState) -> Vec<Model> {
    let mut seen = HashSet::new();
    let local = state.local_model.then(|| model(MODEL, "petstream")).into_iter();
    let configured = state.routes.names().iter().map(|name| model(name, "upstream"));
    let remote = state.remote_models.list().await;
    let all = local.chain(configured).chain(remote.iter().cloned());
    all.filter(|model| seen.insert(model.id.clone())).collect()
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
