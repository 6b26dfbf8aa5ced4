//! Reloads secrets that are files of their own (`key_file`, `api_key_file`) when they change, so that keys can be
//! rotated without a restart.
//!
//! Once a second each file's [`FileStamp`] is compared. A changed file is read when it has been unchanged for a second,
//! since it may be half written. A file that can't be used changes nothing: the last key stays in force, and an error is
//! logged. Files that are not regular (pipes), and every other file of the configuration such as `ca_file`, are read at
//! the start and at a reload only.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::file_stamp::FileStamp;
use crate::auth::keyring::Keyring;
use crate::config::{KeyConfig, Secret, SecretFile, check_key_length};
use crate::upstream::{Routes, Target};
use crate::wire::api_key::KeyHash;

/// Time between two checks of all files.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The files that are watched.
pub(super) struct SecretFiles(Vec<WatchedFile>);

struct WatchedFile {
    file: SecretFile,
    owner: SecretOwner,
    /// The version that was read last.
    read: Option<FileStamp>,
    /// The version at the last check.
    checked: Option<FileStamp>,
}

/// The owner of a secret.
enum SecretOwner {
    /// A configured key, by its name.
    Key(Keyring, String),
    /// An upstream's credential.
    Target(Arc<Target>),
}

/// Checks `files` once a second for as long as it is polled. A reload replaces them.
pub(super) async fn watch(files: Arc<Mutex<SecretFiles>>) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        files.lock().await.check().await;
    }
}

impl SecretFiles {
    /// The files of `keys`, which belong to `keyring` (none: `auth: none`), and of the targets of `routes`.
    pub(super) fn new(keyring: Option<&Keyring>, keys: &[KeyConfig], routes: &Routes) -> Self {
        let of_key = |key: &KeyConfig| Some((key.file.clone()?, SecretOwner::Key(keyring?.clone(), key.name.clone())));
        let of_target =
            |target: &Arc<Target>| Some((target.credential().file()?.clone(), SecretOwner::Target(Arc::clone(target))));
        let all = keys.iter().filter_map(of_key).chain(routes.targets().filter_map(of_target));
        let regular = all.filter(|(file, _)| std::fs::metadata(&file.path).is_ok_and(|file| file.is_file()));
        // No version is known as read: a file may have changed since the configuration was loaded.
        Self(regular.map(|(file, owner)| WatchedFile { file, owner, read: None, checked: None }).collect())
    }

    async fn check(&mut self) {
        for file in &mut self.0 {
            file.check().await;
        }
    }
}

impl WatchedFile {
    async fn check(&mut self) {
        let current = FileStamp::of(&self.file.path).await;
        let settled = current == self.checked;
        self.checked = current;
        if !settled || current == self.read {
            return;
        }
        self.read = current;
        let SecretFile { setting, shown, .. } = &self.file;
        if current.is_none() {
            // A pipe in its place would be waited for, and reloads with it.
            let key = self.owner.name();
            return tracing::error!(
                setting,
                file = shown,
                key,
                "a key is in no file any more; the last one stays in force"
            );
        }
        match self.reload().await {
            Ok(true) => {
                tracing::info!(setting, file = shown, key = self.owner.name(), "a key was read again: another one")
            }
            Ok(false) => {}
            Err(problem) => {
                let key = self.owner.name();
                tracing::error!(setting, file = shown, key, %problem, "a key can't be read; the last one stays in force");
            }
        }
    }

    /// Reads the file and replaces the secret in force; false: it is the same.
    async fn reload(&self) -> Result<bool, String> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || file.read());
        let secret: Secret = read.await.map_err(|error| error.to_string())??;
        match &self.owner {
            SecretOwner::Target(target) => Ok(target.credential().replace(secret)),
            SecretOwner::Key(keyring, name) => {
                check_key_length(secret.reveal())?;
                let replaced = keyring.replace(name, KeyHash::of(secret.reveal())).await;
                replaced.map_err(|other| format!("the key {other:?} has the same secret; choose another"))
            }
        }
    }
}

impl SecretOwner {
    fn name(&self) -> &str {
        match self {
            Self::Key(_, name) => name,
            Self::Target(target) => target.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, ModelConfig, RateLimits, UpstreamConfig};
    use crate::store::Store;
    use crate::telemetry::metrics::Metrics;
    use crate::wire::api_key::Scopes;

    struct Fixture {
        folder: tempfile::TempDir,
        keyring: Keyring,
        target: Arc<Target>,
        files: SecretFiles,
    }

    impl Fixture {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str| SecretFile {
                path: folder.path().join(name),
                shown: name.to_owned(),
                setting: "keys[0].key_file".to_owned(),
            };
            let (key, upstream) = (file("key"), file("upstream"));
            std::fs::write(&key.path, "old-key\n").unwrap();
            std::fs::write(&upstream.path, "old-upstream\n").unwrap();
            let keys = [KeyConfig {
                name: "alice".to_owned(),
                hash: KeyHash::of("old-key"),
                certificate: None,
                file: Some(key),
                expires_at: None,
                models: None,
                scopes: Scopes::default(),
                limits: RateLimits::default(),
            }];
            let store = Store::open("sqlite::memory:").await.unwrap();
            let keyring = Keyring::open(store, &keys, &Limits::default(), Duration::MAX).await.unwrap();
            let mut config = UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap());
            config.api_key = Some(Secret::new("old-upstream".to_owned()).in_file(Some(upstream)));
            let models = [ModelConfig::new("m".to_owned(), vec![config])];
            let routes = Routes::new(&models, &Metrics::new()).unwrap();
            let target = Arc::clone(routes.targets().next().unwrap());
            let files = SecretFiles::new(Some(&keyring), &keys, &routes);
            assert_eq!(files.0.len(), 2);
            Self { folder, keyring, target, files }
        }

        fn write(&self, name: &str, text: &str) {
            // Renamed into place, which is how a file should be replaced.
            let beside = self.folder.path().join("new");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, self.folder.path().join(name)).unwrap();
        }

        async fn settle(&mut self) {
            self.files.check().await;
            self.files.check().await;
        }

        /// Which of these keys are valid, and whether `upstream` is the upstream's key.
        fn valid(&self, keys: [&str; 2], upstream: &str) -> ([bool; 2], bool) {
            let masked = self.target.mask(upstream) == "***";
            (keys.map(|key| self.keyring.find(&KeyHash::of(key)).is_some()), masked)
        }
    }

    #[tokio::test]
    async fn a_changed_file_replaces_the_key_once_it_has_settled() {
        let mut fixture = Fixture::new().await;
        fixture.settle().await;
        assert_eq!(fixture.valid(["old-key", "new-key"], "old-upstream"), ([true, false], true));
        fixture.write("key", "new-key\n");
        fixture.write("upstream", "new-upstream\n");
        fixture.files.check().await;
        assert_eq!(
            fixture.valid(["old-key", "new-key"], "new-upstream"),
            ([true, false], false),
            "the file may be half written"
        );
        fixture.files.check().await;
        assert_eq!(fixture.valid(["old-key", "new-key"], "new-upstream"), ([false, true], true));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_leaves_the_last_key_in_force() {
        let mut fixture = Fixture::new().await;
        for text in ["", "\n", "two words", "abc", "é", &"x".repeat(70_000)] {
            fixture.write("key", text);
            fixture.settle().await;
            assert_eq!(fixture.valid(["old-key", text.trim()], "").0, [true, false], "{text:.10}");
        }
        std::fs::remove_file(fixture.folder.path().join("key")).unwrap();
        fixture.settle().await;
        assert_eq!(fixture.valid(["old-key", ""], "").0, [true, false]);
        // A pipe that nobody writes to.
        let made = std::process::Command::new("mkfifo").arg(fixture.folder.path().join("key")).status();
        assert!(made.unwrap().success());
        fixture.settle().await;
        assert_eq!(fixture.valid(["old-key", ""], "").0, [true, false]);
        std::fs::remove_file(fixture.folder.path().join("key")).unwrap();
        fixture.write("key", "new-key");
        fixture.settle().await;
        assert_eq!(fixture.valid(["old-key", "new-key"], "").0, [false, true]);
    }
}
