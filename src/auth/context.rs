//! The result of authentication: the principal of a request, and a way to validate its key again later.

use std::sync::Arc;

use crate::auth::keyring::{CurrentKeys, Principal};
use crate::wire::api_key::{KeyHash, Scope, Scopes};

/// The principal of a request. [`AuthContext::is_valid`] checks its key again, for streams that last for days.
#[derive(Clone)]
pub struct AuthContext {
    principal: Arc<Principal>,
    /// None: the request needs no key.
    keys: Option<CurrentKeys>,
    key: KeyHash,
    /// The scopes that the key needs for [`AuthContext::is_valid`].
    scopes: Scopes,
}

impl AuthContext {
    /// For the key with this hash, which belongs to `principal`; it is looked up again in `keys`. Without them, no keys
    /// are checked.
    /// `scope` is what the route requires.
    #[must_use]
    pub fn of_key(principal: Arc<Principal>, keys: Option<CurrentKeys>, key: KeyHash, scope: Option<Scope>) -> Self {
        Self { principal, keys, key, scopes: scope.into_iter().collect() }
    }

    /// For a request without a key, where none is needed.
    #[must_use]
    pub fn without_key(principal: Arc<Principal>) -> Self {
        Self { principal, keys: None, key: KeyHash::of(""), scopes: Scopes::NONE }
    }

    /// The principal, as it was when the request was authenticated.
    #[must_use]
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Requires one more scope from now on.
    #[must_use]
    pub fn and(self, scope: Scope) -> Self {
        Self { scopes: self.scopes.iter().chain([scope]).collect(), ..self }
    }

    /// Whether the request was authenticated by a key.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.keys.is_some()
    }

    /// The hash of the key; that of the empty text where keys are not checked.
    #[must_use]
    pub const fn key(&self) -> KeyHash {
        self.key
    }

    /// Whether the key is neither revoked nor expired, and still has its scopes. Always true without a key.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let Some(keys) = &self.keys else { return true };
        let good =
            |principal: &Principal| !principal.has_expired() && self.scopes.iter().all(|scope| principal.has(scope));
        keys.find(&self.key).is_some_and(|principal| good(&principal))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::keyring::Keyring;
    use crate::config::Limits;
    use crate::store::{NewKey, Store};

    #[tokio::test]
    async fn it_is_valid_while_its_key_is_good_and_has_every_scope() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.create_key(NewKey::new("k".into(), "secret")).await.unwrap();
        let keyring = Keyring::open(store.clone(), &[], &Limits::default(), Duration::MAX).await.unwrap();
        let principal = keyring.find(&KeyHash::of("secret")).unwrap();
        let key = KeyHash::of("secret");
        let context = AuthContext::of_key(principal, Some(keyring.current()), key, Some(Scope::StoreRead));
        assert!(context.is_valid() && context.clone().and(Scope::StoreWrite).is_valid());
        assert!(!context.clone().and(Scope::Stats).is_valid(), "keys have all but that");
        assert!(!AuthContext { key: KeyHash::of("other"), ..context.clone() }.is_valid());
        assert!(AuthContext::without_key(Arc::clone(&context.principal)).and(Scope::Stats).is_valid());
        store.revoke_key("k").await.unwrap();
        keyring.refresh().await;
        assert!(!context.is_valid());
    }
}
