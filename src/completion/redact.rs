//! Upstreams' errors without the upstream's key: some quote the key that they refuse.

use http::StatusCode;

use crate::upstream::{Failure, Refusal, Target};
use crate::wire::envelope::ErrorBody;

/// The error with every text redacted.
pub(super) fn redacted(target: &Target, error: ErrorBody) -> ErrorBody {
    let redact = |text: String| target.mask(&text);
    ErrorBody {
        message: redact(error.message),
        kind: redact(error.kind),
        param: error.param.map(redact),
        code: error.code.map(redact),
    }
}

/// The failure for an error within an answer whose status is 200.
pub(super) fn refused(target: &Target, error: Option<ErrorBody>) -> Failure {
    let error = error.map(|error| redacted(target, error));
    Failure::Refused(Refusal { status: StatusCode::OK, error, retry_after: None })
}
