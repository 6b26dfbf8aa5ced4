//! The entry to completions: checks the model and the limits, then calls the local model or an upstream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::response::Response;

use super::context::{Caller, CompletionParts, Context, LocalModel};
use super::proxy_request::ProxyRequest;
use super::session::session_key;
use super::translation::translate;
use super::usage_guard::{Outcome, UsageGuard};
use super::{buffered, local, model_name, streaming, token_count};
use crate::auth::keyring::Principal;
use crate::config::Config;
use crate::error::ApiError;
use crate::limiter::{Blocked, RateLimited};
use crate::responder::MODEL;
use crate::upstream::{Route, SessionKey};
use crate::wire::operation::{Operation, Operations};
use crate::wire::request::{InferenceRequest, InvalidRequest};

/// Most models that an error names in place of one that does not serve the operation.
const MAX_SUGGESTED: usize = 5;

/// A response that is being made, up to its head.
type Responding<'a> = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send + 'a>>;

/// What answers a request.
struct Answerer<'a> {
    model: Model<'a>,
    /// The operation that it is asked for. If that is not the client's, request and answer are translated.
    asked_for: Operation,
    /// The session, where the choice of a target depends on it.
    session: Option<SessionKey>,
}

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
        check_access(&caller, &request)?;
        let answerer = self.answerer(&request, &caller)?;
        let metrics = match &answerer.model {
            Model::Local(local) => local.metrics.operation(request.operation),
            Model::Remote(route) => route.metrics().operation(request.operation),
        };
        let mut response = match caller.admission.take(request.stream, tokens_estimate(&request)) {
            Ok(allotment) => {
                let usage = UsageGuard::new(context, &caller, &request, metrics, allotment);
                self.respond(usage, answerer, caller, request)
            }
            Err(Blocked::Limited(limited)) => return Err(self.refused(&limited)),
            Err(Blocked::Pending(allotment)) => {
                let metrics = Arc::clone(metrics);
                Box::pin(async move {
                    let allotment = allotment.await.map_err(|limited| self.refused(&limited))?;
                    let usage = UsageGuard::new(context, &caller, &request, &metrics, allotment);
                    self.respond(usage, answerer, caller, request).await
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

    /// The number of tokens of a request for a message. Nothing is generated, so there is no usage to record.
    ///
    /// # Errors
    /// [`ApiError`] when there is no such model for the caller, when the request can't be translated, and when its
    /// upstream fails.
    pub async fn count_tokens(&self, mut caller: Caller, request: InferenceRequest) -> Result<Response, ApiError> {
        check_access(&caller, &request)?;
        let Answerer { model, asked_for, session } = self.answerer(&request, &caller)?;
        caller.ends_at.end_with_client();
        let (operation, estimate) = (request.operation, request.prompt_estimate);
        let (key, record) = (Arc::clone(&caller.principal.id), caller.record.clone());
        let local = matches!(model, Model::Local(_)).then_some(MODEL);
        let request = translate(request, asked_for, &key, (&self.0.offload, &mut caller.memory), local).await?;
        let request = ProxyRequest::new(&self.0, caller, operation, session, request);
        match model {
            Model::Local(local) => token_count::local(&local.responder, &key, &request).await,
            Model::Remote(_) if asked_for != operation => Ok(token_count::estimated(estimate)),
            Model::Remote(route) => token_count::of_upstream(&self.0, &route, &record, &request).await,
        }
    }

    fn refused(&self, limited: &RateLimited) -> ApiError {
        self.0.metrics.refused(limited.reason(), limited.owner.name());
        ApiError::from(limited)
    }

    /// On the heap: the futures differ in size, and the largest would be copied with every request.
    fn respond<'a>(
        &'a self,
        usage: Box<UsageGuard>,
        answerer: Answerer<'a>,
        caller: Caller,
        request: InferenceRequest,
    ) -> Responding<'a> {
        caller.ends_at.end_with_client();
        if answerer.asked_for != request.operation {
            return Box::pin(self.translated(usage, answerer, caller, request));
        }
        let operation = request.operation;
        let request = ProxyRequest::new(&self.0, caller, operation, answerer.session, (request, None));
        self.answer(usage, answerer.model, request)
    }

    /// Asks for another operation than the client does, and translates the answer.
    async fn translated(
        &self,
        usage: Box<UsageGuard>,
        Answerer { model, asked_for, session }: Answerer<'_>,
        mut caller: Caller,
        request: InferenceRequest,
    ) -> Result<Response, ApiError> {
        let operation = request.operation;
        let local = matches!(model, Model::Local(_)).then_some(MODEL);
        let key = Arc::clone(usage.key_id());
        match translate(request, asked_for, &key, (&self.0.offload, &mut caller.memory), local).await {
            Ok(translated) => {
                self.answer(usage, model, ProxyRequest::new(&self.0, caller, operation, session, translated)).await
            }
            Err(error) => {
                usage.finish(Outcome::NotGenerated(&error));
                Err(error)
            }
        }
    }

    fn answer<'a>(&'a self, usage: Box<UsageGuard>, model: Model<'a>, request: Box<ProxyRequest>) -> Responding<'a> {
        match (model, request.request.stream) {
            (Model::Local(local), _) => Box::pin(local::complete(&self.0, &local.responder, usage, request)),
            (Model::Remote(route), true) => Box::pin(streaming::stream(&self.0, usage, route, request)),
            (Model::Remote(route), false) => Box::pin(buffered::complete(&self.0, usage, route, request)),
        }
    }

    /// What answers a request.
    fn answerer(&self, request: &InferenceRequest, caller: &Caller) -> Result<Answerer<'_>, ApiError> {
        let (name, operation, principal) = (&*request.model, request.operation, &caller.principal);
        if let Some(local) = self.0.local.as_ref().filter(|_| name == MODEL) {
            if !Operations::CHAT.contains(operation) {
                return Err(self.not_served(request, principal));
            }
            return Ok(Answerer { model: Model::Local(local), asked_for: Operation::Chat, session: None });
        }
        let routes = self.0.routes.find(name).ok_or_else(|| ApiError::no_model(name))?;
        let (route, asked_for) = routes.answering(operation).ok_or_else(|| self.not_served(request, principal))?;
        let session = route.has_affinity().then(|| session_key(&caller.headers, &principal.id, request)).flatten();
        Ok(Answerer { model: Model::Remote(Arc::clone(route)), asked_for, session })
    }

    /// The model does not serve the operation. The error names some models that do, of those that the key may use.
    #[cold]
    fn not_served(&self, request: &InferenceRequest, principal: &Principal) -> ApiError {
        let operation = request.operation;
        let serves = |name: &&str| self.0.routes.find(name).is_some_and(|routes| routes.answering(operation).is_some());
        let configured = self.0.routes.names().iter().map(String::as_str).filter(serves);
        let local = self.0.local.as_ref().filter(|_| Operations::CHAT.contains(operation)).map(|_| MODEL);
        let usable = configured.chain(local).filter(|name| principal.may_use(name));
        let others: Vec<_> = usable.take(MAX_SUGGESTED).collect();
        ApiError::not_served(&request.model, operation, &others)
    }
}

/// Records what is asked for, and checks that the caller may use the model.
fn check_access(caller: &Caller, request: &InferenceRequest) -> Result<(), ApiError> {
    {
        let mut facts = caller.record.facts();
        facts.operation = Some(request.operation);
        facts.model = Some(model_name::truncated(&request.model));
    }
    if !caller.principal.may_use(&request.model) {
        return Err(ApiError::no_model(&request.model));
    }
    match (&caller.principal.models, &request.other_models) {
        (Some(_), Some(param)) => Err(InvalidRequest::other_models(param).into()),
        _ => Ok(()),
    }
}

/// The tokens that a completion is expected to take at most.
fn tokens_estimate(request: &InferenceRequest) -> u64 {
    let most = request.max_tokens.unwrap_or(0).saturating_mul(request.n);
    request.prompt_estimate.saturating_add(most)
}
