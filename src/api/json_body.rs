//! A request body as a JSON object, read member by member, so that every error names its member.
//!
//! Its size and time are bounded in `body`, the number and length of its members here. `limits.json_depth` concerns chat
//! requests (`wire::request`): values of other bodies are scalars or short lists.

use std::sync::Arc;

use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest, Sha256};

use super::body::BodyReader;
use crate::auth::keyring::Principal;
use crate::bound::Grant;
use crate::error::ApiError;
use crate::error::problem::{Accepted, FieldError, Problem};
use crate::middleware::context::{Admitted, RequestContext};
use crate::offload::{MAX_INLINE, Offload};
use crate::petstore::IdempotencyKey;
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::{Member, members_up_to};

/// The media types of POST and PUT. A type is required: pages of other origins may send forms, plain text and untyped
/// bytes without a preflight.
pub(super) static JSON: Accepted = Accepted { header: "accept", types: "application/json" };
/// The media types of PATCH; both stand for a merge patch (RFC 7396).
pub(super) static MERGE_PATCH: Accepted =
    Accepted { header: "accept-patch", types: "application/json, application/merge-patch+json" };
/// The header under whose value a request is carried out once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest idempotency key, characters.
const MAX_KEY_LEN: usize = 255;
/// Most members of a body, far more than any resource has.
const MAX_MEMBERS: usize = 64;
/// Longest JSON of a number or a boolean, bytes.
const MAX_SCALAR: usize = 64;
/// Longest part of an unknown member's name that an error repeats, characters.
const MAX_NAME_LEN: usize = 60;

/// The body of a request, with the parts of its head that handlers need.
pub(super) struct JsonBody {
    /// Its headers.
    pub(super) headers: HeaderMap,
    bytes: Bytes,
    /// Method and path.
    target: String,
    caller: Arc<Principal>,
    /// Given back when the request is done.
    _memory: Grant,
}

impl JsonBody {
    /// Reads a request to its end.
    pub(super) async fn read(
        bodies: &BodyReader,
        context: &RequestContext<Admitted>,
        request: Request,
        accepted: &'static Accepted,
    ) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let caller = Arc::clone(context.caller.auth.principal());
        // Before the type is checked: a client that is refused while it is still sending may never read the answer.
        let body = bodies.read(&caller.id, &head.headers, body, &context.connection.timer).await?;
        if !is_accepted(&head.headers, accepted) {
            return Err(Problem::unsupported_type(accepted));
        }
        Ok(Self {
            target: format!("{} {}", head.method, head.uri.path()),
            caller,
            headers: head.headers,
            bytes: without_mark(body.bytes),
            _memory: body.share,
        })
    }

    /// Returns the body with the result of `work`, which runs here for a small body, and in the pool for long
    /// computations for one that would delay other connections of this thread.
    pub(super) async fn process<T: Send + 'static>(
        self,
        offload: &Offload,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(Self, T), Problem> {
        if self.bytes.len() <= MAX_INLINE {
            let result = work(&self)?;
            return Ok((self, result));
        }
        let caller = Arc::clone(&self.caller.id);
        let work = move || {
            let result = work(&self);
            (self, result)
        };
        let (document, result) = offload.run(&caller, work).await.map_err(ApiError::from)?;
        Ok((document, result?))
    }

    /// The body as an object.
    pub(super) fn object(&self, purpose: Purpose) -> Result<Object<'_>, Problem> {
        let text = simdutf8::basic::from_utf8(&self.bytes);
        let text = text.map_err(|_| Problem::unreadable("The body is not a JSON object: it is not UTF-8."))?;
        let (given, count) = members_up_to(text, MAX_MEMBERS).map_err(|_| not_an_object(text))?;
        if count > MAX_MEMBERS {
            return Err(Problem::unreadable(format!("The body has more than {MAX_MEMBERS} members.")));
        }
        Ok(Object { given, purpose, errors: Vec::new() })
    }

    /// The id of the API key.
    pub(super) fn caller(&self) -> &str {
        &self.caller.id
    }

    /// The idempotency key of the request, if it has one.
    pub(super) fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        let mut values = self.headers.get_all(IDEMPOTENCY_KEY).into_iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=MAX_KEY_LEN).contains(&key.len()));
        let (Some(key), None) = (key, values.next()) else {
            let expected = format!("must be one text of 1 to {MAX_KEY_LEN} visible ASCII characters");
            return Err(Problem::invalid_parameter("Idempotency-Key", expected));
        };
        let digest = Sha256::new().chain_update(&self.target).chain_update(b"\n").chain_update(&self.bytes);
        let request = hex::encode(digest.finalize());
        Ok(Some(IdempotencyKey { caller: self.caller.id.to_string(), key: key.to_owned(), request }))
    }
}

fn is_accepted(headers: &HeaderMap, accepted: &Accepted) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    accepted.types.split(", ").any(|name| name.eq_ignore_ascii_case(essence))
}

/// The meaning of missing members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The whole resource: they take their default, as members that are null do.
    Whole,
    /// A merge patch: they stay unchanged. Members that are null take their default.
    Patch,
}

/// The value of a member that is missing or null.
#[derive(Clone, Debug)]
pub(super) enum Otherwise<T> {
    /// None: the member is required.
    Required,
    /// This.
    Default(T),
    /// The value before the request.
    Unchanged,
}

/// The members of an object. Reading removes them; those that are left at the end are unknown.
#[derive(Debug)]
pub(super) struct Object<'a> {
    given: Vec<Member<'a>>,
    purpose: Purpose,
    errors: Vec<FieldError>,
}

impl Object<'_> {
    /// The value of a member, parsed by `read`; `expected` describes it in an error. None: it stays unchanged, or
    /// there was an error.
    pub(super) fn member<T>(
        &mut self,
        name: &str,
        expected: &str,
        otherwise: Otherwise<T>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let mut values = self.given.extract_if(.., |member| member.key == name).map(|member| member.value);
        let (value, again) = (values.next(), values.next());
        drop(values);
        if again.is_some() {
            return self.refuse(name, "must be given once");
        }
        match (value, self.purpose) {
            (Some("null") | None, Purpose::Whole) => self.otherwise(name, otherwise, "is required"),
            (None, Purpose::Patch) => None,
            (Some("null"), Purpose::Patch) => match otherwise {
                Otherwise::Unchanged => self.refuse(name, "can't be removed"),
                otherwise => self.otherwise(name, otherwise, "can't be removed"),
            },
            (Some(value), _) => match read(value) {
                Some(value) => Some(value),
                None => self.refuse(name, format!("must be {expected}")),
            },
        }
    }

    /// Ignores members that only the server sets, so that clients can send back what they have read.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        self.given.retain(|member| !names.contains(&member.key.as_ref()));
    }

    /// Adds an error about a member.
    pub(super) fn refuse<T>(&mut self, name: &str, detail: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::member(name, detail));
        None
    }

    /// Fails with all errors, unknown members included.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for member in std::mem::take(&mut self.given) {
            let name: String = member.key.chars().take(MAX_NAME_LEN).collect();
            self.refuse::<()>(&name, "is not a member that can be set here");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }

    fn otherwise<T>(&mut self, name: &str, otherwise: Otherwise<T>, complaint: &str) -> Option<T> {
        match otherwise {
            Otherwise::Required => self.refuse(name, complaint),
            Otherwise::Default(value) => Some(value),
            Otherwise::Unchanged => None,
        }
    }
}

/// The value of a JSON string, if it has at most `longest` characters.
pub(super) fn text(json: &str, longest: usize) -> Option<String> {
    // A character takes at most twelve bytes: two escapes of six.
    if json.len() > 12 * longest + 2 {
        return None;
    }
    serde_json::from_str(json).ok().filter(|text: &String| text.len() <= longest || text.chars().count() <= longest)
}

/// A JSON number or boolean that is read as Rust's type of the same name.
pub(super) fn scalar<T: DeserializeOwned>(json: &str) -> Option<T> {
    if json.len() > MAX_SCALAR { None } else { serde_json::from_str(json).ok() }
}

/// The error about a body that is not an object. serde names line and column, and quotes nothing of the body.
fn not_an_object(text: &str) -> Problem {
    let error = match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => error.to_string(),
        Ok(IgnoredAny) if text.trim_start().starts_with('{') => "it can't be read".to_owned(),
        Ok(IgnoredAny) => "it is another value".to_owned(),
    };
    Problem::unreadable(format!("The body is not a JSON object: {error}."))
}
