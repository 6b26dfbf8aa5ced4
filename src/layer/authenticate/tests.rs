//! How long somebody who was let in may stay.

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
    let standing = Standing { principal, keyring: Some(keyring.clone()), key: KeyHash::of("secret"), scopes: read };
    assert!(standing.holds() && standing.clone().and(Scope::StoreWrite).holds());
    assert!(!standing.clone().and(Scope::Stats).holds(), "keys have all but that");
    assert!(!Standing { key: KeyHash::of("other"), ..standing.clone() }.holds());
    assert!(Standing::everybody(Arc::clone(&standing.principal)).and(Scope::Stats).holds());
    store.revoke_key("k").await.unwrap();
    keyring.refresh().await;
    assert!(!standing.holds());
}
