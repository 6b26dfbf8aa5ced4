//! The faults of upstreams, and the failures that a client must get for them.

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::storm::plan::Model;

/// How an upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Complete and correct.
    Clean,
    /// Complete, with an ending that petstream corrects: no `[DONE]`, two, one without its newline, frames after it.
    NoDone,
    DoneTwice,
    DoneWithoutNewline,
    ChattyAfterDone,

    /// The body ends without a finish reason.
    EndsEarly,
    /// The connection closes within a chunk, or before the promised length.
    Torn,
    Reset,
    BadJson,
    BadUtf8,
    TooLong,
    BadFraming,
    /// An error object in the middle; of a non-streaming answer, in its place.
    ErrorInside,
    /// An error object as the first frame.
    ErrorFirst,

    /// Not a stream: an error status, an HTML page, a non-streaming answer to a streaming request, or no answer.
    Refuse(u16),
    Page,
    Whole,
    CloseAtOnce,
    ResetAtOnce,

    /// Silence before the head, before the first event or in the middle; or an endless stream.
    SilentHead,
    SilentFirst,
    SilentInside,
    Endless,
    /// Sends one token and waits until the client leaves.
    Hold,
}

const WHOLE: &[Fault] = &[Fault::NoDone, Fault::DoneTwice, Fault::DoneWithoutNewline, Fault::ChattyAfterDone];
const BROKEN: &[Fault] = &[
    Fault::EndsEarly,
    Fault::Torn,
    Fault::Reset,
    Fault::BadJson,
    Fault::BadUtf8,
    Fault::TooLong,
    Fault::BadFraming,
    Fault::ErrorInside,
    Fault::ErrorFirst,
];
const BROKEN_PLAIN: &[Fault] = &[Fault::Torn, Fault::Reset, Fault::BadJson, Fault::BadUtf8, Fault::ErrorInside];
const NOTHING: &[Fault] = &[
    Fault::Refuse(500),
    Fault::Refuse(503),
    Fault::Refuse(429),
    Fault::Refuse(400),
    Fault::Refuse(401),
    Fault::Page,
    Fault::CloseAtOnce,
    Fault::ResetAtOnce,
];
const SILENT: &[Fault] = &[Fault::SilentHead, Fault::SilentFirst, Fault::SilentInside, Fault::Endless];
const SILENT_PLAIN: &[Fault] = &[Fault::SilentHead, Fault::SilentInside];

impl Fault {
    /// Draws a fault that is possible for this model and form of answer.
    pub fn draw(model: Model, streamed: bool, random: &mut Random) -> Self {
        if model == Model::Hasty && random.percent(60) {
            return random.one(if streamed { SILENT } else { SILENT_PLAIN });
        }
        match random.below(100) {
            0..40 => Self::Clean,
            40..55 if streamed => random.one(WHOLE),
            40..80 => random.one(if streamed { BROKEN } else { BROKEN_PLAIN }),
            80..83 if streamed => Self::Whole,
            _ => random.one(NOTHING),
        }
    }

    /// The status and code that a client gets for it; none where the answer is complete.
    pub const fn failure(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Clean | Self::NoDone | Self::DoneTwice | Self::DoneWithoutNewline | Self::ChattyAfterDone => {
                return None;
            }
            Self::EndsEarly | Self::Torn | Self::Reset | Self::CloseAtOnce | Self::ResetAtOnce => {
                (502, "upstream_closed")
            }
            Self::BadJson | Self::BadUtf8 | Self::TooLong | Self::BadFraming | Self::Page | Self::Whole => {
                (502, "upstream_malformed")
            }
            Self::Refuse(401) => (502, "upstream_auth"),
            // The code of an upstream is passed on for 400 and 429, and for an error within an answer.
            Self::Refuse(status @ (400 | 429)) => (status, "storm"),
            Self::Refuse(503) => (503, "server_is_overloaded"),
            Self::Refuse(_) => (502, "upstream_error"),
            Self::ErrorInside | Self::ErrorFirst => (502, "storm"),
            Self::SilentHead | Self::SilentFirst | Self::SilentInside | Self::Endless | Self::Hold => {
                (504, "upstream_timeout")
            }
        })
    }

    /// Whether written bytes may be lost to a reset.
    pub const fn may_lose(self) -> bool {
        matches!(self, Self::Reset | Self::Endless)
    }

    /// Whether the upstream reports that it did no work, so that nothing is charged if nothing was sent.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Refuse(_) | Self::ErrorInside | Self::ErrorFirst)
    }
}
