//! Failures as answers: the only place where status codes are chosen.
//!
//! Each [`Surface`] has its own format: OpenAI's envelope under `/v1`, Anthropic's under `/v1/messages`, problem details
//! (RFC 9457) under `/api`. Modules
//! below describe what failed in types of their own; this one decides what a client gets to see of it.

mod anthropic;
mod denied;
mod engine;
mod openai;
pub mod problem;
mod surface;

pub use denied::Denied;
pub use engine::refused_by_engine;
pub use openai::{ApiError, FailureLabel};
pub use surface::Surface;
pub(crate) use surface::is_below;
