//! Browsers: tickets that let one in, and sessions that let it come back.
//!
//! An `EventSource` can't send a key. A page that has one asks for a ticket, which is good for one connection within
//! seconds, and may stand in a URL for that reason; what the browser comes back with later is a cookie, which holds the
//! token of a session. Both stand for the key that they were made with: whoever shows one is as good as that key, as
//! long as that key is good. Neither is stored, only its hash; nor is the hash of the key, but hidden by the token.
//!
//! Tickets live in this process. Sessions live in the database: a browser comes back after a restart, too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::store::{Store, StoreError};
use crate::wire::key::{KeyHash, new_token};

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
/// How long a session is good, if its key is.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
/// Tickets that wait to be used at the same time; further ones are refused.
const MOST_TICKETS: usize = 10_000;
/// Sessions of one owner of a key; the oldest of them goes when there is one more.
const MOST_SESSIONS: u32 = 20_000;

/// Tickets and sessions; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    // std Mutex: never held across .await
    tickets: Arc<Mutex<Tickets>>,
}

#[derive(Default)]
struct Tickets {
    keys: HashMap<KeyHash, KeyHash>,
    /// In the order in which they end. Used ones stay until then.
    ends: VecDeque<(Instant, KeyHash)>,
}

/// Why there is no ticket or session.
#[derive(Debug)]
pub enum SessionError {
    /// There are as many tickets as there may be.
    TooMany,
    /// The operating system has no random bytes to give.
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
    /// No tickets, and the sessions in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, tickets: Arc::default() }
    }

    /// A ticket that stands for `key`, once, within [`TICKET_LIFE`].
    ///
    /// # Errors
    /// [`SessionError::TooMany`], [`SessionError::Random`]
    pub fn issue(&self, key: KeyHash) -> Result<String, SessionError> {
        let ticket = new_token().map_err(SessionError::Random)?;
        let now = Instant::now();
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.forget(now);
        if tickets.ends.len() >= MOST_TICKETS {
            return Err(SessionError::TooMany);
        }
        let hash = KeyHash::of(&ticket);
        tickets.keys.insert(hash, key);
        tickets.ends.push_back((now + TICKET_LIFE, hash));
        Ok(ticket)
    }

    /// The key that `ticket` stands for, which it does no longer.
    #[must_use]
    pub fn redeem(&self, ticket: &str) -> Option<KeyHash> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.forget(Instant::now());
        tickets.keys.remove(&KeyHash::of(ticket))
    }

    /// Opens a session that stands for `key`, which is that of `owner`, and gives its token.
    ///
    /// # Errors
    /// [`SessionError::Random`], [`SessionError::Store`]
    pub async fn open(&self, owner: &str, key: KeyHash) -> Result<String, SessionError> {
        let token = new_token().map_err(SessionError::Random)?;
        let now = Timestamp::now();
        let ends = now.checked_add(SESSION_LIFE).unwrap_or(Timestamp::MAX);
        let sealed = key.sealed(&token);
        self.store.open_session(KeyHash::of(&token), (owner, &sealed), now, ends, MOST_SESSIONS).await?;
        Ok(token)
    }

    /// The key that the session of `token` stands for.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn find(&self, token: &str) -> Result<Option<KeyHash>, StoreError> {
        let sealed = self.store.session_key(KeyHash::of(token), Timestamp::now()).await?;
        // One that can't be read is none of ours: an older server's.
        Ok(sealed.and_then(|sealed| KeyHash::unseal(&sealed, token)))
    }

    /// Ends the session of `token`, if there is one.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn close(&self, token: &str) -> Result<(), StoreError> {
        self.store.close_session(KeyHash::of(token)).await
    }
}

impl Tickets {
    fn forget(&mut self, now: Instant) {
        while let Some((_, hash)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            self.keys.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sessions() -> Sessions {
        Sessions::new(Store::open("sqlite::memory:").await.unwrap())
    }

    #[tokio::test]
    async fn a_ticket_is_good_once() {
        let sessions = sessions().await;
        let key = KeyHash::of("key");
        let ticket = sessions.issue(key).unwrap();
        assert_eq!(ticket.len(), 64, "256 bits");
        assert!(sessions.redeem("no ticket").is_none());
        assert!(sessions.redeem(&ticket) == Some(key));
        assert!(sessions.redeem(&ticket).is_none());
    }

    #[tokio::test]
    async fn a_ticket_ends_and_makes_room() {
        let sessions = sessions().await;
        tokio::time::pause();
        let key = KeyHash::of("key");
        let first = sessions.issue(key).unwrap();
        let mut last = String::new();
        for _ in 1..MOST_TICKETS {
            last = sessions.issue(key).unwrap();
        }
        assert!(matches!(sessions.issue(key), Err(SessionError::TooMany)));
        tokio::time::advance(TICKET_LIFE).await;
        assert!(sessions.redeem(&first).is_none() && sessions.redeem(&last).is_none());
        assert!(sessions.issue(key).is_ok());
    }

    #[tokio::test]
    async fn a_session_is_good_until_it_is_closed() {
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
