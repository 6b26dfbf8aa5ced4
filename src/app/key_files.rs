//! Secrets in files of their own (`key_file`, `api_key_file`), read again when they change, so that keys can be exchanged
//! without a restart.
//!
//! Files are looked at once a second, by their modification time, size and number: that sees a file that is written anew, one
//! that is put in its place, and a link that leads elsewhere, as Kubernetes changes its secrets. One that has changed is read
//! when it has not changed for another second, since whoever writes it may be in the middle. A file that can't be used
//! changes nothing: the last key stays in force, and the log says so once. What is no plain file (a pipe) is read at the
//! start only. So is everything else that the configuration names: `ca_file` needs a restart.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth::keyring::Keyring;
use crate::config::{KeyConfig, Secret, SecretFile, long_enough};
use crate::upstream::{Routes, Target};
use crate::wire::api_key::KeyHash;

/// Time between two looks at all files.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(super) struct KeyFiles(Vec<KeyFile>);

struct KeyFile {
    file: SecretFile,
    whose: Whose,
    /// What the file looked like when it was read last, and when it was looked at last.
    read: Look,
    seen: Look,
}

enum Whose {
    /// A configured key, by its name.
    Key(Keyring, String),
    Target(Arc<Target>),
}

/// What a file looks like from outside; none: it is not there.
type Look = Option<(u64, u64, i64, i64, u64)>;

impl KeyFiles {
    /// Those of `keys`, which `keyring` has (none: no keys are asked for), and of the targets of `routes`.
    pub(super) fn new(keyring: Option<&Keyring>, keys: &[KeyConfig], routes: &Routes) -> Self {
        let of_key = |key: &KeyConfig| Some((key.file.clone()?, Whose::Key(keyring?.clone(), key.name.clone())));
        let of_target =
            |target: &Arc<Target>| Some((target.credential().file()?.clone(), Whose::Target(Arc::clone(target))));
        let all = keys.iter().filter_map(of_key).chain(routes.targets().filter_map(of_target));
        let plain = all.filter(|(file, _)| std::fs::metadata(&file.path).is_ok_and(|file| file.is_file()));
        // Read once more soon: a file may have changed since the configuration was read.
        Self(plain.map(|(file, whose)| KeyFile { file, whose, read: None, seen: None }).collect())
    }

    /// Looks at them once a second, until `stop`.
    pub(super) async fn watch(mut self, stop: CancellationToken) {
        if self.0.is_empty() {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            self.look().await;
        }
    }

    async fn look(&mut self) {
        for file in &mut self.0 {
            file.look().await;
        }
    }
}

impl KeyFile {
    async fn look(&mut self) {
        let now = look(&self.file).await;
        let settled = now == self.seen;
        self.seen = now;
        if !settled || now == self.read {
            return;
        }
        self.read = now;
        let SecretFile { setting, shown, .. } = &self.file;
        match self.renew().await {
            Ok(true) => {
                tracing::info!(setting, file = shown, key = self.whose.name(), "a key was read again: another one")
            }
            Ok(false) => {}
            Err(problem) => {
                let key = self.whose.name();
                tracing::error!(setting, file = shown, key, %problem, "a key can't be read; the last one stays in force");
            }
        }
    }

    /// Reads it; whether it holds another secret than before.
    async fn renew(&self) -> Result<bool, String> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || file.read());
        let secret: Secret = read.await.map_err(|error| error.to_string())??;
        match &self.whose {
            Whose::Target(target) => Ok(target.credential().replace(secret)),
            Whose::Key(keyring, name) => {
                long_enough(secret.reveal())?;
                let replaced = keyring.replace(name, KeyHash::of(secret.reveal())).await;
                replaced.map_err(|other| format!("the key {other:?} has the same secret; choose another"))
            }
        }
    }
}

impl Whose {
    fn name(&self) -> &str {
        match self {
            Self::Key(_, name) => name,
            Self::Target(target) => target.name(),
        }
    }
}

async fn look(file: &SecretFile) -> Look {
    let file = tokio::fs::metadata(&file.path).await.ok().filter(std::fs::Metadata::is_file)?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, ModelConfig, RateLimits, UpstreamConfig};
    use crate::store::Store;
    use crate::telemetry::metrics::Metrics;
    use crate::wire::api_key::Scopes;

    struct Case {
        folder: tempfile::TempDir,
        keyring: Keyring,
        target: Arc<Target>,
        files: KeyFiles,
    }

    impl Case {
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
                file: Some(key),
                expires_at: None,
                models: None,
                scopes: Scopes::default(),
                limits: RateLimits::default(),
            }];
            let store = Store::open("sqlite::memory:").await.unwrap();
            let keyring = Keyring::open(store, &keys, &Limits::default()).await.unwrap();
            let mut config = UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap());
            config.api_key = Some(Secret::new("old-upstream".to_owned()).in_file(Some(upstream)));
            let models = [ModelConfig::new("m".to_owned(), vec![config])];
            let routes = Routes::new(&models, &Metrics::new()).unwrap();
            let target = Arc::clone(routes.targets().next().unwrap());
            let files = KeyFiles::new(Some(&keyring), &keys, &routes);
            assert_eq!(files.0.len(), 2);
            Self { folder, keyring, target, files }
        }

        fn write(&self, name: &str, text: &str) {
            // In its place, as those do it who know how: another file under the same name.
            let beside = self.folder.path().join("new");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, self.folder.path().join(name)).unwrap();
        }

        async fn settle(&mut self) {
            self.files.look().await;
            self.files.look().await;
        }

        /// Which of these keys are good, and whether the upstream is shown this one.
        fn good(&self, keys: [&str; 2], upstream: &str) -> ([bool; 2], bool) {
            let quoted = self.target.mask(upstream) == "***";
            (keys.map(|key| self.keyring.find(&KeyHash::of(key)).is_some()), quoted)
        }
    }

    #[tokio::test]
    async fn a_key_in_a_file_that_changes_is_another_key() {
        let mut case = Case::new().await;
        case.settle().await;
        assert_eq!(case.good(["old-key", "new-key"], "old-upstream"), ([true, false], true));
        case.write("key", "new-key\n");
        case.write("upstream", "new-upstream\n");
        case.files.look().await;
        assert_eq!(case.good(["old-key", "new-key"], "new-upstream"), ([true, false], false), "perhaps half of it");
        case.files.look().await;
        assert_eq!(case.good(["old-key", "new-key"], "new-upstream"), ([false, true], true));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_leaves_the_last_key() {
        let mut case = Case::new().await;
        for text in ["", "\n", "two words", "abc", "é", &"x".repeat(70_000)] {
            case.write("key", text);
            case.settle().await;
            assert_eq!(case.good(["old-key", text.trim()], "").0, [true, false], "{text:.10}");
        }
        std::fs::remove_file(case.folder.path().join("key")).unwrap();
        case.settle().await;
        assert_eq!(case.good(["old-key", ""], "").0, [true, false]);
        case.write("key", "new-key");
        case.settle().await;
        assert_eq!(case.good(["old-key", "new-key"], "").0, [false, true]);
    }
}
