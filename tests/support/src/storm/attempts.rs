//! The log of attempts: which script each upstream played, and what it sent.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::soon;
use crate::storm::plan::Script;

/// A frame that was sent.
#[derive(Clone, Debug)]
pub struct SentFrame {
    /// The form for a client that requested usage.
    pub with_usage: String,
    /// The form for other clients; none: the frame is withheld.
    pub without: Option<String>,
    /// Whether it counts as a token where usage is not reported.
    pub counts: bool,
    /// Prompt and completion tokens that it reports.
    pub usage: Option<(u64, u64)>,
}

/// One attempt, recorded by its upstream.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The address of the upstream, as `host:port`.
    pub place: String,
    pub script: Script,
    /// The chunks that it began to send, in order.
    pub frames: Vec<SentFrame>,
    /// The body of a plain answer, brief.
    pub body: Option<(String, usize)>,
    /// The prompt and completion tokens of the whole answer, where it reported them.
    pub usage: Option<(u64, u64)>,
    /// The connection was reset by an outage: written bytes may be lost.
    pub disturbed: bool,
    /// A write had to wait.
    pub held_back: bool,
    /// The attempt no longer holds a connection.
    pub over: bool,
}

/// Identifies an attempt: the request, and the index of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptId {
    pub id: usize,
    pub attempt: usize,
}

/// The log of all upstreams.
#[derive(Default)]
pub struct AttemptLog {
    // std Mutex: never held across .await
    requests: Mutex<HashMap<usize, Vec<Attempt>>>,
    changes: watch::Sender<u64>,
}

impl AttemptLog {
    /// Records that a request has arrived at `place`, and selects the script of the attempt.
    pub fn begin(&self, id: usize, place: &str, scripts: &[Script]) -> (AttemptId, Script) {
        let mut requests = self.requests();
        let attempts = requests.entry(id).or_default();
        let attempt = attempts.len();
        let script = scripts[attempt.min(scripts.len() - 1)];
        attempts.push(Attempt {
            place: place.to_owned(),
            script,
            frames: Vec::new(),
            body: None,
            usage: None,
            disturbed: false,
            held_back: false,
            over: false,
        });
        drop(requests);
        self.changed();
        (AttemptId { id, attempt }, script)
    }

    /// Updates the record of an attempt.
    pub fn note(&self, attempt_id: AttemptId, note: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) =
            self.requests().get_mut(&attempt_id.id).and_then(|attempts| attempts.get_mut(attempt_id.attempt))
        {
            note(attempt);
        }
        self.changed();
    }

    /// All attempts of request `id` so far.
    pub fn of(&self, id: usize) -> Vec<Attempt> {
        self.requests().get(&id).cloned().unwrap_or_default()
    }

    /// Waits until `ready` accepts the attempts of request `id`.
    pub async fn wait_for(&self, id: usize, what: &str, ready: impl Fn(&[Attempt]) -> bool) {
        let mut changes = self.changes.subscribe();
        let waiting = changes.wait_for(|_| self.requests().get(&id).is_some_and(|attempts| ready(attempts)));
        soon(what, waiting).await.unwrap();
    }

    /// Waits until no attempt holds a connection any more.
    pub async fn all_over(&self) {
        let mut changes = self.changes.subscribe();
        let over = |_: &u64| self.requests().values().flatten().all(|attempt| attempt.over);
        soon("upstream connections to be closed or idle", changes.wait_for(over)).await.unwrap();
    }

    /// Removes all attempts.
    pub fn clear(&self) {
        self.requests().clear();
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<usize, Vec<Attempt>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `text` itself where it is short, else its beginning, its length and a digest: a log of floods must not distort the
/// measurement of memory.
pub fn brief(text: &str) -> String {
    const SHORT: usize = 400;
    if text.len() <= SHORT {
        return text.to_owned();
    }
    let mut digest = DefaultHasher::new();
    text.hash(&mut digest);
    let begin = &text[..text.floor_char_boundary(SHORT / 2)];
    format!("{begin}… {} bytes {:016x}", text.len(), digest.finish())
}
