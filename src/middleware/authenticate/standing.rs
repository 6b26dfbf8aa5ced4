//! Who was let in, for how long that holds, and what the limits have left for them.

use std::sync::Arc;

use crate::auth::keyring::{Keyring, Principal};
use crate::limiter::Admission;
use crate::wire::api_key::{KeyHash, Scope, Scopes};

/// Who was let in, and whether it may still do what it was let in for. A stream that goes on for days asks again.
#[derive(Clone)]
pub struct AuthContext {
    principal: Arc<Principal>,
    /// None: everybody may.
    keyring: Option<Keyring>,
    key: KeyHash,
    scopes: Scopes,
    /// None: nothing is limited here.
    admission: Option<Admission>,
}

impl AuthContext {
    /// That of whoever has `key` in `keyring` (none: no keys are asked for), as long as it has `scope` too.
    pub(super) fn new(principal: Arc<Principal>, keyring: Option<Keyring>, key: KeyHash, scope: Option<Scope>) -> Self {
        Self { principal, keyring, key, scopes: scope.into_iter().collect(), admission: None }
    }

    /// Everybody's, where no key is needed.
    pub(super) fn everybody(principal: Arc<Principal>) -> Self {
        Self { principal, keyring: None, key: KeyHash::of(""), scopes: Scopes::NONE, admission: None }
    }

    /// Who was let in, as it was then.
    #[must_use]
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Says what the limits have left.
    pub fn admit(&mut self, admission: Admission) {
        self.admission = Some(admission);
    }

    /// Who was let in, and what the limits have left; none: nothing is limited here.
    #[must_use]
    pub fn into_parts(self) -> (Arc<Principal>, Option<Admission>) {
        (self.principal, self.admission)
    }

    /// Without what the limits have left, for an answer that goes on: that was for the request.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { admission: None, ..self }
    }

    /// Asks for one more scope from now on.
    #[must_use]
    pub fn and(self, scope: Scope) -> Self {
        Self { scopes: self.scopes.iter().chain([scope]).collect(), ..self }
    }

    /// Whether it is that of a key.
    #[must_use]
    pub const fn is_a_keys(&self) -> bool {
        self.keyring.is_some()
    }

    /// The hash of the key; of nothing where no keys are asked for.
    #[must_use]
    pub const fn key(&self) -> KeyHash {
        self.key
    }

    /// Whether the key is neither revoked nor expired, and has its scopes.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Some(keyring) = &self.keyring else { return true };
        let good =
            |principal: &Principal| !principal.has_expired() && self.scopes.iter().all(|scope| principal.has(scope));
        keyring.find(&self.key).is_some_and(|principal| good(&principal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::store::{NewKey, Store};

    #[tokio::test]
    async fn a_standing_holds_while_its_key_is_good_and_has_every_scope() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.create_key(NewKey::new("k".into(), "secret")).await.unwrap();
        let keyring = Keyring::open(store.clone(), &[], &Limits::default()).await.unwrap();
        let principal = keyring.find(&KeyHash::of("secret")).unwrap();
        let read = [Scope::StoreRead].into_iter().collect();
        let key = KeyHash::of("secret");
        let standing = AuthContext { principal, keyring: Some(keyring.clone()), key, scopes: read, admission: None };
        assert!(standing.holds() && standing.clone().and(Scope::StoreWrite).holds());
        assert!(!standing.clone().and(Scope::Stats).holds(), "keys have all but that");
        assert!(!AuthContext { key: KeyHash::of("other"), ..standing.clone() }.holds());
        assert!(AuthContext::everybody(Arc::clone(&standing.principal)).and(Scope::Stats).holds());
        store.revoke_key("k").await.unwrap();
        keyring.refresh().await;
        assert!(!standing.holds());
    }
}
