//! The entry to completions: checks the model and the limits, then calls the local model or an upstream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::response::Response;

use super::context::{Caller, CompletionParts, Context, LocalModel};
use super::proxy_request::ProxyRequest;
use super::usage_guard::UsageGuard;
use super::{buffered, local, model_name, streaming};
use crate::auth::keyring::Principal;
use crate::config::Config;
use crate::error::ApiError;
use crate::limiter::{Blocked, RateLimited};
use crate::responder::MODEL;
use crate::upstream::Route;
use crate::wire::operation::Operation;
use crate::wire::request::{InferenceRequest, InvalidRequest};

/// Most models that an error names in place of one that does not serve the operation.
const MAX_SUGGESTED: usize = 5;

/// A response that is being made, up to its head.
type Responding<'a> = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send + 'a>>;

/// What serves a model.
enum Model<'a> {
    Local(&'a LocalModel),
    Remote(Arc<Route>),
}

/// Serves completions; cheap to clone.
#[derive(Clone)]
pub struct CompletionService(Context);

impl CompletionService {
    /// A service with the configured limits and times.
    #[must_use]
    pub fn new(config: &Config, parts: CompletionParts) -> Self {
        Self(Context::new(config, parts, None))
    }

    /// A service with other settings; the answers of before count.
    #[must_use]
    pub fn following(&self, config: &Config, parts: CompletionParts) -> Self {
        Self(Context::new(config, parts, Some(&self.0)))
    }

    /// Admits one request; the future resolves to its response, or to an error if it fails before the first byte.
    ///
    /// # Errors
    /// [`ApiError`] when there is no such model for the caller, or a limit of streams or tokens refuses it.
    pub fn complete(
        &self,
        caller: Caller,
        request: InferenceRequest,
    ) -> Result<impl Future<Output = Result<Response, ApiError>> + Send, ApiError> {
        let context = &self.0;
        {
            let mut facts = caller.record.facts();
            facts.operation = Some(request.operation);
            facts.model = Some(model_name::truncated(&request.model));
        }
        if !caller.principal.may_use(&request.model) {
            return Err(ApiError::no_model(&request.model));
        }
        if let (Some(_), Some(param)) = (&caller.principal.models, &request.other_models) {
            return Err(InvalidRequest::other_models(param).into());
        }
        let model = self.model(&request, &caller.principal)?;
        let metrics = match &model {
            Model::Local(local) => &local.metrics,
            Model::Remote(route) => route.metrics().operation(request.operation),
        };
        let mut response = match caller.admission.take(request.stream, tokens_estimate(&request)) {
            Ok(allotment) => {
                let usage = UsageGuard::new(context, &caller, &request, metrics, allotment);
                self.respond(usage, model, caller, request)
            }
            Err(Blocked::Limited(limited)) => return Err(self.refused(&limited)),
            Err(Blocked::Pending(allotment)) => {
                let metrics = Arc::clone(metrics);
                Box::pin(async move {
                    let allotment = allotment.await.map_err(|limited| self.refused(&limited))?;
                    let usage = UsageGuard::new(context, &caller, &request, &metrics, allotment);
                    self.respond(usage, model, caller, request).await
                })
            }
        };
        // A stream that has begun ends with an error frame instead.
        Ok(poll_fn(move |cx| {
            if context.abort.is_raised() {
                return Poll::Ready(Err(ApiError::shutting_down()));
            }
            response.as_mut().poll(cx)
        }))
    }

    fn refused(&self, limited: &RateLimited) -> ApiError {
        self.0.metrics.refused(limited.reason(), limited.owner.name());
        ApiError::from(limited)
    }

    /// On the heap: the futures differ in size, and the largest would be copied with every request.
    fn respond<'a>(
        &'a self,
        usage: Box<UsageGuard>,
        model: Model<'a>,
        caller: Caller,
        request: InferenceRequest,
    ) -> Responding<'a> {
        caller.ends_at.end_with_client();
        let request = ProxyRequest::new(&self.0, caller, request);
        match (model, request.request.stream) {
            (Model::Local(local), _) => Box::pin(local::complete(&self.0, &local.responder, usage, request)),
            (Model::Remote(route), true) => Box::pin(streaming::stream(&self.0, usage, route, request)),
            (Model::Remote(route), false) => Box::pin(buffered::complete(&self.0, usage, route, request)),
        }
    }

    /// What serves a request.
    fn model(&self, request: &InferenceRequest, principal: &Principal) -> Result<Model<'_>, ApiError> {
        let (name, operation) = (&*request.model, request.operation);
        match &self.0.local {
            Some(local) if name == MODEL && operation == Operation::Chat => return Ok(Model::Local(local)),
            Some(_) if name == MODEL => return Err(self.not_served(request, principal)),
            _ => {}
        }
        let routes = self.0.routes.find(name).ok_or_else(|| ApiError::no_model(name))?;
        let route = routes.serving(operation).ok_or_else(|| self.not_served(request, principal))?;
        Ok(Model::Remote(Arc::clone(route)))
    }

    /// The model does not serve the operation. The error names some models that do, of those that the key may use.
    #[cold]
    fn not_served(&self, request: &InferenceRequest, principal: &Principal) -> ApiError {
        let operation = request.operation;
        let serves = |name: &&str| self.0.routes.find(name).is_some_and(|routes| routes.serving(operation).is_some());
        let configured = self.0.routes.names().iter().map(String::as_str).filter(serves);
        let local = self.0.local.as_ref().filter(|_| operation == Operation::Chat).map(|_| MODEL);
        let usable = configured.chain(local).filter(|name| principal.may_use(name));
        let others: Vec<_> = usable.take(MAX_SUGGESTED).collect();
        ApiError::not_served(&request.model, operation, &others)
    }
}

/// The tokens that a completion is expected to take at most.
fn tokens_estimate(request: &InferenceRequest) -> u64 {
    let most = request.max_tokens.unwrap_or(0).saturating_mul(request.n);
    request.prompt_estimate.saturating_add(most)
}
