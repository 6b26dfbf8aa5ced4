//! Failures of upstreams.

use http::StatusCode;

use super::{ApiError, OVERLOADED, whole_ms};
use crate::upstream::{Deadline, Failure, Refusal};
use crate::wire::operation::Operation;

/// Longest part of an upstream's message that is passed on, characters.
const MAX_MESSAGE_LEN: usize = 2_000;
/// Longest part of its type, code and parameter, characters.
const MAX_CODE_LEN: usize = 200;
/// The code of an input that is longer than the context of its model.
const CONTEXT_OVERFLOW: &str = "context_length_exceeded";

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let bad = |code, message: &str| Self::new(StatusCode::BAD_GATEWAY, "server_error", Some(code), message);
        match failure {
            Failure::Unreachable(_) => bad("upstream_unreachable", "The upstream can't be reached."),
            Failure::Unanswered | Failure::Closed => {
                bad("upstream_closed", "The upstream closed the connection before its answer was complete.")
            }
            Failure::Malformed(what) | Failure::Empty(what) => {
                bad("upstream_malformed", &format!("The upstream's answer can't be understood: {what}."))
            }
            Failure::Timeout(deadline) => {
                let what = match deadline {
                    Deadline::Connect => "The upstream did not accept the connection in time.",
                    Deadline::FirstToken => "The upstream did not begin to answer in time.",
                    Deadline::Idle => "The upstream fell silent in the middle of its answer.",
                    Deadline::Total => "The upstream did not finish its answer in time.",
                };
                Self::new(StatusCode::GATEWAY_TIMEOUT, "server_error", Some("upstream_timeout"), what)
            }
            Failure::AllEjected { wait, .. } => {
                let mut error = Self::overloaded();
                error.retry_after = Some(whole_ms(*wait).max(1_000));
                error
            }
            Failure::NoMemory(exceeded) => Self::from(*exceeded),
            Failure::Refused(refusal) => Self::refused(refusal),
        }
    }
}

impl ApiError {
    /// The error of a failed request of `operation`.
    #[must_use]
    pub fn of_upstream(failure: &Failure, operation: Operation) -> Self {
        let mut error = Self::from(failure);
        if operation.input_param() != Operation::Chat.input_param()
            && error.body.code.as_deref() == Some(CONTEXT_OVERFLOW)
        {
            error.body.param = Some(operation.input_param().to_owned());
        }
        error
    }

    /// The parts of an upstream's error response that are passed to the client.
    fn refused(refusal: &Refusal) -> Self {
        let said = refusal.error.as_ref();
        let text: Option<String> = said.map(|error| error.message.chars().take(MAX_MESSAGE_LEN).collect());
        let status = refusal.effective_status();
        let mut error = match status.as_u16() {
            // A client would take a 401 for a failure of its own key, and the message is about the operator's account.
            401 | 402 | 403 | 407 => {
                let message = "The upstream refused the credentials or the account that this server has for it.";
                return Self::new(StatusCode::BAD_GATEWAY, "server_error", Some("upstream_auth"), message);
            }
            300..=399 => return Self::from(&Failure::Malformed("it is a redirect, which is never followed")),
            // A mistake of the configuration does not help the client, and may reveal internals.
            _ if refusal.is_misconfigured() => {
                let message = "The upstream can't be asked for this model as this server is set up.";
                return Self::new(StatusCode::BAD_GATEWAY, "server_error", Some("upstream_error"), message);
            }
            400 | 404 | 409 | 413 | 422 => {
                let text = text.unwrap_or_else(|| format!("The upstream refused the request with status {status}."));
                Self::bad(status, None, text)
            }
            429 => {
                let text = text.unwrap_or_else(|| "The upstream's rate limit is reached.".to_owned());
                Self::new(status, "requests", Some("rate_limit_exceeded"), text)
            }
            408 | 504 => return Self::from(&Failure::Timeout(Deadline::FirstToken)),
            503 | 529 => {
                let text = text.unwrap_or_else(|| "The upstream is overloaded.".to_owned());
                let code = Some(OVERLOADED);
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, text)
            }
            _ => {
                let text = text.unwrap_or_else(|| "The upstream failed.".to_owned());
                Self::new(StatusCode::BAD_GATEWAY, "server_error", Some("upstream_error"), text)
            }
        };
        // A 5xx is about the upstream's internals; other errors are meant for the client.
        let meant = refusal.status.is_success() || !refusal.status.is_server_error();
        if refusal.is_overflow() {
            error.body.code = Some(CONTEXT_OVERFLOW.to_owned());
            error.body.param = Some(Operation::Chat.input_param().to_owned());
        } else if let Some(said) = said.filter(|_| meant) {
            error.body.param = said.param.as_deref().map(short);
            // A number is a status; SDKs expect a word.
            let is_number = |code: &&str| {
                code.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && code.parse::<f64>().is_ok()
            };
            let word = said.code.as_deref().filter(|code| !is_number(code));
            error.body.code = word.map(short).or(error.body.code);
            if !said.kind.is_empty() {
                error.body.kind = short(&said.kind);
            }
        }
        error.retry_after = refusal.retry_after.map(whole_ms);
        if error.body.code.as_deref() == Some("insufficient_quota") {
            error.should_retry = Some(false);
        }
        error
    }
}

/// An upstream's type, code or parameter, truncated.
fn short(text: &str) -> String {
    text.chars().take(MAX_CODE_LEN).collect()
}
