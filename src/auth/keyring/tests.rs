//! The keys of the configuration and of the database together, as they change.

use super::*;
use crate::store::NewKey;
use std::num::NonZeroU32;

async fn on_disk(folder: &tempfile::TempDir) -> Store {
    Store::open(&format!("sqlite:{}", folder.path().join("p.db").display())).await.unwrap()
}

async fn ring(store: &Store) -> Keyring {
    Keyring::open(store.clone(), &[], &Limits::default(), Duration::MAX).await.unwrap()
}

fn configured(name: &str, secret: &str) -> KeyConfig {
    KeyConfig {
        certificate: None,
        name: name.into(),
        hash: KeyHash::of(secret),
        file: None,
        expires_at: None,
        models: None,
        scopes: Scopes::default(),
        limits: RateLimits::default(),
    }
}

#[tokio::test]
async fn a_key_of_another_process_is_found_after_one_refresh_and_a_revoked_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (on_disk(&folder).await, on_disk(&folder).await);
    let ring = ring(&here).await;
    let hash = KeyHash::of("secret");
    // Twice in a row, so that the second look falls into the pause after the first.
    ring.refresh().await;
    there.create_key(NewKey::new("k".into(), "secret")).await.unwrap();
    assert!(ring.find(&hash).is_none());
    ring.refresh().await;
    assert_eq!(ring.find(&hash).unwrap().name.as_ref(), "k");
    there.revoke_key("k").await.unwrap();
    ring.refresh().await;
    assert!(ring.find(&hash).is_none());
}

#[tokio::test]
async fn concurrent_misses_share_one_refresh() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let ring = ring(&store).await;
    let start = Instant::now();
    let all: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let ring = ring.clone();
                async move { ring.refresh().await }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    // One interval for the first lookups, at most one more for those that arrived during the read.
    assert!(start.elapsed() < MIN_REFRESH_INTERVAL * 4);
}

#[tokio::test]
async fn the_watch_sees_a_revocation_within_a_second_and_ends_at_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (on_disk(&folder).await, on_disk(&folder).await);
    there.create_key(NewKey::new("k".into(), "secret")).await.unwrap();
    let ring = ring(&here).await;
    let stop = CancellationToken::new();
    let watch = tokio::spawn(ring.clone().watch(stop.clone()));
    there.revoke_key("k").await.unwrap();
    let gone = async {
        while ring.find(&KeyHash::of("secret")).is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), gone).await.unwrap();
    stop.cancel();
    watch.await.unwrap();
}

#[tokio::test]
async fn the_first_key_is_made_once_and_works_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (on_disk(&folder).await, on_disk(&folder).await);
    let ring = ring(&here).await;
    let secret = ring.ensure_first(None).await.unwrap().unwrap();
    let first = ring.find(&KeyHash::of(&secret)).unwrap();
    assert_eq!((first.name.as_ref(), first.scopes), ("first", Scopes::ALL));
    assert_eq!(ring.ensure_first(None).await.unwrap(), None);
    there.revoke_key("first").await.unwrap();
    assert_eq!(self::ring(&there).await.ensure_first(None).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_servers_that_start_at_once_one_makes_the_key_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("petstream.key");
    let (here, there) = (on_disk(&folder).await, on_disk(&folder).await);
    let (here, there) = (ring(&here).await, ring(&there).await);
    let (one, other) = tokio::join!(here.ensure_first(Some(&file)), there.ensure_first(Some(&file)));
    let made: Vec<_> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    assert_eq!(made, [std::fs::read_to_string(&file).unwrap().trim_end()]);
    for ring in [here, there] {
        ring.refresh().await;
        assert!(!ring.is_empty() && ring.find(&KeyHash::of(&made[0])).is_some());
    }
}

#[tokio::test]
async fn a_configured_key_is_enough() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let ring =
        Keyring::open(store.clone(), &[configured("c", "secret")], &Limits::default(), Duration::MAX).await.unwrap();
    assert_eq!(ring.ensure_first(None).await.unwrap(), None);
    assert_eq!(ring.find(&KeyHash::of("secret")).unwrap().id.as_ref(), "config:c");
}

#[tokio::test]
async fn a_configured_key_takes_another_secret_and_keeps_it() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let keys = [configured("c", "secret"), configured("d", "taken")];
    store.create_key(NewKey::new("same".into(), "secret")).await.unwrap();
    let ring = Keyring::open(store.clone(), &keys, &Limits::default(), Duration::MAX).await.unwrap();
    let name = |secret: &str| ring.find(&KeyHash::of(secret)).map(|principal| principal.name.to_string());
    assert_eq!(ring.replace("c", KeyHash::of("taken")).await, Err("d".into()));
    assert_eq!(ring.replace("c", KeyHash::of("secret")).await, Ok(false));
    assert_eq!(ring.replace("c", KeyHash::of("other")).await, Ok(true));
    assert_eq!((name("secret"), name("other"), name("taken")), (None, Some("c".into()), Some("d".into())));
    // A refresh from the database does not restore the old key, but finds the stored key with the same secret.
    ring.refresh().await;
    assert_eq!((name("secret"), name("other")), (Some("same".into()), Some("c".into())));
}

#[tokio::test]
async fn own_limits_come_before_those_of_all_keys() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    let own = RateLimits { requests_per_minute: NonZeroU32::new(1), ..RateLimits::default() };
    let per_key = RateLimits {
        requests_per_minute: NonZeroU32::new(9),
        concurrent_streams: NonZeroU32::new(3),
        ..RateLimits::default()
    };
    store.create_key(NewKey { limits: own, ..NewKey::new("k".into(), "secret") }).await.unwrap();
    let ring = Keyring::open(store, &[], &Limits { per_key, ..Limits::default() }, Duration::MAX).await.unwrap();
    let limits = ring.find(&KeyHash::of("secret")).unwrap().limits;
    assert_eq!(limits, RateLimits { requests_per_minute: NonZeroU32::new(1), ..per_key });
}

#[tokio::test]
async fn a_failing_database_keeps_the_keys_known() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.create_key(NewKey::new("k".into(), "secret")).await.unwrap();
    let ring = ring(&store).await;
    store.close().await;
    ring.refresh().await;
    assert!(ring.find(&KeyHash::of("secret")).is_some());
}

#[test]
fn the_principal_checks_models_and_expiry() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut key = configured("c", "secret");
    key.models = Some(vec!["m".into()]);
    key.expires_at = Some(now);
    let (_, principal) = from_config(&key, RateLimits::default()).next().unwrap();
    assert!(principal.may_use("m") && !principal.may_use("n"));
    assert!(principal.is_expired(now) && !principal.is_expired("2025-12-31T23:59:59Z".parse().unwrap()));
    assert!(principal.has(Scope::Chat) && !principal.has(Scope::Stats));
}

#[tokio::test]
async fn the_keys_of_another_configuration_are_in_force_once_they_are_made_current() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (on_disk(&folder).await, on_disk(&folder).await);
    let old =
        Keyring::open(here, &[configured("c", "secret"), configured("d", "both")], &Limits::default(), Duration::MAX)
            .await
            .unwrap();
    let stop = CancellationToken::new();
    let watch = tokio::spawn(old.clone().watch(stop.clone()));
    let new = old
        .following(&[configured("e", "other"), configured("d", "both")], &Limits::default(), Duration::MAX)
        .await
        .unwrap();
    let found = |keys: &Keyring| ["secret", "both", "other"].map(|secret| keys.find(&KeyHash::of(secret)).is_some());
    let current = || ["secret", "both", "other"].map(|secret| old.current().find(&KeyHash::of(secret)).is_some());
    assert_eq!((found(&old), found(&new), current()), ([true, true, false], [false, true, true], [true, true, false]));
    new.make_current();
    assert_eq!(
        (found(&old), current()),
        ([true, true, false], [false, true, true]),
        "a request keeps what it began with"
    );
    // Changes of the database reach the keys in force.
    there.create_key(NewKey::new("k".into(), "stored")).await.unwrap();
    let stored = async {
        while new.find(&KeyHash::of("stored")).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), stored).await.unwrap();
    stop.cancel();
    watch.await.unwrap();
}
