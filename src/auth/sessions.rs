//! Tickets and sessions, with which browsers authenticate instead of a key.
//!
//! An `EventSource` can't send a key. A page that has one requests a ticket, which is valid for one connection within
//! seconds, and may be part of a URL for that reason; later connections use a cookie with the token of a session. Both
//! stand for the key that they were made with, and are valid as long as that key is. Only their hashes are stored, and
//! the hash of the key only encrypted by the token.
//!
//! Tickets are kept in this process, or in the database if servers share it. Sessions are kept in the database, so that
//! they outlive a restart.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::tickets::LocalTickets;
use crate::bound::Exceeded;
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

/// Tickets and sessions; cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    /// None: they are in the database.
    local_tickets: Option<LocalTickets>,
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
        let local = || LocalTickets::new(MAX_TICKETS, MAX_TICKETS_OF_A_KEY);
        let local_tickets = (!store.is_shared()).then(local);
        Self { store, local_tickets }
    }

    /// A ticket that stands for `key`, the hash of the key of this id, once, within [`TICKET_LIFE`].
    ///
    /// # Errors
    /// [`SessionError::TooMany`], [`SessionError::Random`], [`SessionError::Store`]
    pub async fn issue(&self, id: &Arc<str>, key: KeyHash) -> Result<String, SessionError> {
        let ticket = new_token().map_err(SessionError::Random)?;
        let hash = KeyHash::of(&ticket);
        let issued = match &self.local_tickets {
            Some(tickets) => tickets.issue(id, hash, key, TICKET_LIFE),
            None => {
                let sealed = key.sealed(&ticket);
                let bounds = [MAX_TICKETS, MAX_TICKETS_OF_A_KEY];
                self.store.issue_ticket(hash, (id, &sealed), TICKET_LIFE, bounds).await?
            }
        };
        issued.map_err(SessionError::TooMany)?;
        Ok(ticket)
    }

    /// The key that `ticket` stands for. Uses the ticket up.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn redeem(&self, ticket: &str) -> Result<Option<KeyHash>, StoreError> {
        let hash = KeyHash::of(ticket);
        match &self.local_tickets {
            Some(tickets) => Ok(tickets.redeem(hash)),
            None => {
                let sealed = self.store.redeem_ticket(hash).await?;
                Ok(sealed.and_then(|sealed| KeyHash::unseal(&sealed, ticket)))
            }
        }
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
        let ticket = sessions.issue(&one(), key).await.unwrap();
        assert_eq!(ticket.len(), 64, "256 bits");
        assert!(sessions.redeem("no ticket").await.unwrap().is_none());
        assert!(sessions.redeem(&ticket).await.unwrap() == Some(key));
        assert!(sessions.redeem(&ticket).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_expired_ticket_no_longer_counts() {
        let sessions = sessions().await;
        tokio::time::pause();
        let key = KeyHash::of("key");
        let first = sessions.issue(&one(), key).await.unwrap();
        let mut last = String::new();
        for _ in 1..MAX_TICKETS_OF_A_KEY {
            last = sessions.issue(&one(), key).await.unwrap();
        }
        let refused = |refused| matches!(refused, Err(SessionError::TooMany(Exceeded::Share(_))));
        assert!(refused(sessions.issue(&one(), key).await));
        let other = sessions.issue(&"other".into(), KeyHash::of("other")).await.unwrap();
        assert!(
            sessions.redeem(&other).await.unwrap() == Some(KeyHash::of("other")),
            "another key may still have tickets"
        );
        tokio::time::advance(TICKET_LIFE).await;
        assert!(sessions.redeem(&first).await.unwrap().is_none() && sessions.redeem(&last).await.unwrap().is_none());
        assert!(sessions.issue(&one(), key).await.is_ok());
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
