//! What the upstreams say that they attempts: one attempts a request, one attempt_id an attempt.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::soon;
use crate::storm::plan::Script;

/// A frame as it was sent.
#[derive(Clone, Debug)]
pub struct SentFrame {
    /// What a client that asked for usage must get.
    pub with_usage: String,
    /// What any other client must get; none: nothing.
    pub without: Option<String>,
    /// Whether it counts as a token where nothing else tells how many there were.
    pub counts: bool,
    /// Prompt and completion tokens that it reports.
    pub usage: Option<(u64, u64)>,
}

/// One attempt, as its upstream tells it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Where, as `host:port`.
    pub place: String,
    pub script: Script,
    /// Every chunk that it began to send, in order.
    pub frames: Vec<SentFrame>,
    /// The body of a plain answer, brief.
    pub body: Option<(String, usize)>,
    /// The prompt and completion tokens of the whole answer, where it reported them.
    pub usage: Option<(u64, u64)>,
    /// The upstream went away and took the connection with it: what was written may be lost.
    pub disturbed: bool,
    /// A write had to wait.
    pub held_back: bool,
    /// The connection is free again, or gone.
    pub over: bool,
}

/// Which attempt of which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptId {
    pub id: usize,
    pub attempt: usize,
}

/// The attempt_log of all upstreams.
#[derive(Default)]
pub struct AttemptLog {
    // std Mutex: never held across .await
    requests: Mutex<HashMap<usize, Vec<Attempt>>>,
    changes: watch::Sender<u64>,
}

impl AttemptLog {
    /// A request has come to `place`; `scripts` say what is done with each attempt.
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

    /// Writes something down.
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

    /// Waits until the attempts of request `id` are as asked.
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

    /// Forgets everything.
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

/// `text` itself where it is short, else its beginning with its length and a digest: a attempt_log of floods must not fill
/// the memory that is measured.
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
