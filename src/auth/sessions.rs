//! Tickets and sessions, with which browsers authenticate instead of a key.
//!
//! An `EventSource` can't send a key. A page that has one requests a ticket, which is valid for one connection within
//! seconds, and may be part of a URL for that reason; later connections use a cookie with the token of a session. Both
//! stand for the key that they were made with, and are valid as long as that key is. Only their hashes are stored, and
//! the hash of the key only encrypted by the token.
//!
//! Tickets are kept in this process. Sessions are kept in the database, so that they outlive a restart.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::bound::{Bound, Exceeded, Grant};
use crate::store::{Store, StoreError};
use crate::wire::api_key::{KeyHash, new_token};

/// How long a ticket is valid.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
/// How long a session is valid, as long as its key is.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Most unused tickets; further ones are refused.
const MAX_TICKETS: u64 = 10_000;
/// Most unused tickets of one key.
const MAX_TICKETS_OF_A_KEY: u64 = 2_500;
/// Most sessions; the oldest is deleted when there is one more.
const MAX_SESSIONS: u32 = 100_000;
/// Most sessions of one key, likewise.
const MAX_SESSIONS_OF_A_KEY: u32 = 20_000;
/// Used tickets are removed from the queue when there are more than this, and more than unused ones.
const MAX_USED: usize = 1_024;

/// Tickets and sessions; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    // std Mutex: never held across .await
    tickets: Arc<Mutex<Tickets>>,
}

struct Tickets {
    bound: Bound,
    waiting: HashMap<KeyHash, Ticket>,
    /// In the order in which they expire. Used ones stay until then, or until there are many.
    ends: VecDeque<(Instant, KeyHash)>,
}

/// An unused ticket.
struct Ticket {
    /// The key that it stands for.
    key: KeyHash,
    /// Given back on drop.
    _place: Grant,
}

/// Why no ticket or session was made.
#[derive(Debug)]
pub enum SessionError {
    /// There are too many unused tickets, in all or of the key.
    TooMany(Exceeded),
    /// The operating system has no random bytes.
    Random(getrandom::Error),
    /// The database can't be used.
    Store(StoreError),
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Sessions {
    /// Without tickets, and with the sessions in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let bound = Bound::new(MAX_TICKETS, MAX_TICKETS_OF_A_KEY);
        let tickets = Tickets { bound, waiting: HashMap::new(), ends: VecDeque::new() };
        Self { store, tickets: Arc::new(Mutex::new(tickets)) }
    }

    /// A ticket that stands for `key`, the hash of the key of this id, once, within [`TICKET_LIFE`].
    ///
    /// # Errors
    /// [`SessionError::TooMany`], [`SessionError::Random`]
    pub fn issue(&self, id: &Arc<str>, key: KeyHash) -> Result<String, SessionError> {
        let ticket = new_token().map_err(SessionError::Random)?;
        let now = Instant::now();
        let mut tickets = self.tickets();
        tickets.forget(now);
        let place = tickets.bound.take(id, 1).map_err(SessionError::TooMany)?;
        let hash = KeyHash::of(&ticket);
        tickets.waiting.insert(hash, Ticket { key, _place: place });
        tickets.ends.push_back((now + TICKET_LIFE, hash));
        Ok(ticket)
    }

    /// The key that `ticket` stands for. Uses the ticket up.
    #[must_use]
    pub fn redeem(&self, ticket: &str) -> Option<KeyHash> {
        let mut tickets = self.tickets();
        tickets.forget(Instant::now());
        tickets.waiting.remove(&KeyHash::of(ticket)).map(|ticket| ticket.key)
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session for `key`, which belongs to `owner`, and returns its token.
    ///
    /// # Errors
    /// [`SessionError::Random`], [`SessionError::Store`]
    pub async fn open(&self, owner: &str, key: KeyHash) -> Result<String, SessionError> {
        let token = new_token().map_err(SessionError::Random)?;
        let now = Timestamp::now();
        let ends = now.checked_add(SESSION_LIFE).unwrap_or(Timestamp::MAX);
        let sealed = key.sealed(&token);
        self.store
            .open_session(KeyHash::of(&token), (owner, &sealed), now, ends, [MAX_SESSIONS, MAX_SESSIONS_OF_A_KEY])
            .await?;
        Ok(token)
    }

    /// The key that the session of `token` stands for.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, token: &str) -> Result<Option<KeyHash>, StoreError> {
        let sealed = self.store.session_key(KeyHash::of(token), Timestamp::now()).await?;
        // A session that can't be decrypted was made by an older version.
        Ok(sealed.and_then(|sealed| KeyHash::unseal(&sealed, token)))
    }

    /// Ends the session of `token`, if there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(&self, token: &str) -> Result<(), StoreError> {
        self.store.close_session(KeyHash::of(token)).await
    }
}

impl Tickets {
    fn forget(&mut self, now: Instant) {
        while let Some((_, hash)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            self.waiting.remove(&hash);
        }
        if self.ends.len() > 2 * self.waiting.len() + MAX_USED {
            self.ends.retain(|(_, hash)| self.waiting.contains_key(hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sessions() -> Sessions {
        Sessions::new(Store::open("sqlite::memory:").await.unwrap())
    }

    fn one() -> Arc<str> {
        "one".into()
    }

    #[tokio::test]
    async fn a_ticket_can_be_used_once() {
        let sessions = sessions().await;
        let key = KeyHash::of("key");
        let ticket = sessions.issue(&one(), key).unwrap();
        assert_eq!(ticket.len(), 64, "256 bits");
        assert!(sessions.redeem("no ticket").is_none());
        assert!(sessions.redeem(&ticket) == Some(key));
        assert!(sessions.redeem(&ticket).is_none());
    }

    #[tokio::test]
    async fn an_expired_ticket_no_longer_counts() {
        let sessions = sessions().await;
        tokio::time::pause();
        let key = KeyHash::of("key");
        let first = sessions.issue(&one(), key).unwrap();
        let mut last = String::new();
        for _ in 1..MAX_TICKETS_OF_A_KEY {
            last = sessions.issue(&one(), key).unwrap();
        }
        let refused = |refused| matches!(refused, Err(SessionError::TooMany(Exceeded::Share(_))));
        assert!(refused(sessions.issue(&one(), key)));
        let other = sessions.issue(&"other".into(), KeyHash::of("other")).unwrap();
        assert!(sessions.redeem(&other) == Some(KeyHash::of("other")), "another key may still have tickets");
        tokio::time::advance(TICKET_LIFE).await;
        assert!(sessions.redeem(&first).is_none() && sessions.redeem(&last).is_none());
        assert!(sessions.issue(&one(), key).is_ok());
    }

    #[tokio::test]
    async fn used_tickets_take_no_memory() {
        let sessions = sessions().await;
        for _ in 0..2 * MAX_TICKETS_OF_A_KEY {
            let ticket = sessions.issue(&one(), KeyHash::of("key")).unwrap();
            assert!(sessions.redeem(&ticket).is_some());
        }
        let tickets = sessions.tickets();
        assert!(tickets.waiting.is_empty() && tickets.ends.len() <= MAX_USED + 1, "{}", tickets.ends.len());
        assert_eq!(tickets.bound.taken(), 0);
    }

    #[tokio::test]
    async fn a_session_is_valid_until_it_is_closed() {
        let sessions = sessions().await;
        let key = KeyHash::of("key");
        let token = sessions.open("config:a", key).await.unwrap();
        let other = sessions.open("config:a", key).await.unwrap();
        assert!(sessions.find(&token).await.unwrap() == Some(key));
        assert!(sessions.find("no token").await.unwrap().is_none());
        sessions.close(&token).await.unwrap();
        assert!(sessions.find(&token).await.unwrap().is_none());
        assert!(sessions.find(&other).await.unwrap() == Some(key));
    }
}
