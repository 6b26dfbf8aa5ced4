//! Reads the certificates of listeners again when their files change, so that they can be renewed without a restart.
//!
//! Once a second the [`FileStamp`] of each file is compared. Changed files are read when they have been unchanged for
//! a second, since they may be half written. A certificate and a key that do not belong together, as while one of them
//! is replaced, change nothing: the last pair stays in use, an error is logged, and they are tried again when a file
//! changes.

use std::sync::Arc;
use std::time::Duration;

use super::file_stamp::FileStamp;
use super::listen::ListenerTls;
use crate::config::{PemFile, TlsFiles};
use crate::http::server::{LoadedTls, ServerTls};

/// Time between two checks of all files.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The files that are watched.
pub(super) struct TlsFilesWatcher(Vec<Watched>);

struct Watched {
    tls: ServerTls,
    /// The certificate that was put in use last, here. A reload of the configuration may have put another one in use.
    last: Arc<LoadedTls>,
    /// The versions that were read last.
    read: Vec<Option<FileStamp>>,
    /// The versions at the last check.
    checked: Vec<Option<FileStamp>>,
}

impl TlsFilesWatcher {
    /// Watches the files of these listeners.
    pub(super) fn new(listeners: Vec<ListenerTls>) -> Self {
        // No version is known as read: a file may have changed since it was read at the start.
        let watched =
            |ListenerTls { tls, .. }| Watched { last: tls.current(), tls, read: Vec::new(), checked: Vec::new() };
        Self(listeners.into_iter().map(watched).collect())
    }

    /// Checks them once a second for as long as it is polled.
    pub(super) async fn watch(mut self) {
        while !self.0.is_empty() {
            tokio::time::sleep(CHECK_INTERVAL).await;
            for watched in &mut self.0 {
                watched.check().await;
            }
        }
    }
}

impl Watched {
    async fn check(&mut self) {
        let used = self.tls.current();
        if !Arc::ptr_eq(&used, &self.last) {
            // The files may be others, or have been read before their last change.
            self.last = Arc::clone(&used);
            self.read.clear();
        }
        let mut current = Vec::new();
        for file in files(used.files()) {
            current.push(FileStamp::of(&file.path).await);
        }
        let settled = current == self.checked;
        self.checked.clone_from(&current);
        if !settled || current == self.read {
            return;
        }
        let is_first = self.read.is_empty();
        let is_complete = current.iter().all(Option::is_some);
        self.read = current;
        let file = &used.files().cert.shown;
        if !is_complete {
            // A pipe would be waited for.
            return tracing::error!(file, "a certificate, its key or client_ca is no file; the last one stays in use");
        }
        let wanted = used.files().clone();
        // Parsing takes a while, and must not delay other tasks of this thread.
        let Ok(read) = tokio::task::spawn_blocking(move || LoadedTls::read(&wanted)).await else { return };
        match read {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                if !self.tls.replace_if_current(&used, Arc::clone(&loaded)) {
                    return;
                }
                self.last = loaded;
                if !is_first {
                    tracing::info!(file, "a certificate was read again");
                }
            }
            Err(error) => tracing::error!(%error, "a certificate can't be read; the last one stays in use"),
        }
    }
}

fn files(files: &TlsFiles) -> impl Iterator<Item = &PemFile> {
    [&files.cert, &files.key].into_iter().chain(&files.client_ca)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientAuth;

    struct Fixture {
        folder: tempfile::TempDir,
        watched: Watched,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str| PemFile {
                path: folder.path().join(name),
                shown: name.to_owned(),
                setting: format!("tls.{name}"),
            };
            let files =
                TlsFiles { cert: file("cert"), key: file("key"), client_ca: None, client_auth: ClientAuth::default() };
            let (cert, key) = pair();
            std::fs::write(&files.cert.path, cert).unwrap();
            std::fs::write(&files.key.path, key).unwrap();
            let tls = ServerTls::new(&files).unwrap();
            let watched = Watched { last: tls.current(), tls, read: Vec::new(), checked: Vec::new() };
            Self { folder, watched }
        }

        fn write(&self, name: &str, text: &str) {
            // Renamed into place, which is how a file should be replaced.
            let beside = self.folder.path().join("new");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(beside, self.folder.path().join(name)).unwrap();
        }

        /// Checks until the files have settled. Returns whether another certificate is in use then.
        async fn is_replaced(&mut self) -> bool {
            let before = self.watched.tls.current();
            self.watched.check().await;
            self.watched.check().await;
            !Arc::ptr_eq(&before, &self.watched.tls.current())
        }
    }

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn a_pair_is_used_once_both_files_belong_together() {
        let mut fixture = Fixture::new();
        assert!(fixture.is_replaced().await, "the files may have changed since the start");
        assert!(!fixture.is_replaced().await);
        let (cert, key) = pair();
        fixture.write("cert", &cert);
        assert!(!fixture.is_replaced().await, "the key is that of the certificate before");
        fixture.write("key", &key);
        assert!(fixture.is_replaced().await);
    }

    #[tokio::test]
    async fn files_that_cannot_be_used_leave_the_last_pair_in_use() {
        let mut fixture = Fixture::new();
        assert!(fixture.is_replaced().await);
        for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"] {
            fixture.write("cert", text);
            assert!(!fixture.is_replaced().await, "{text}");
        }
        std::fs::remove_file(fixture.folder.path().join("cert")).unwrap();
        assert!(!fixture.is_replaced().await);
    }

    #[tokio::test]
    async fn a_certificate_of_a_reload_is_not_replaced_by_one_that_was_read_before_it() {
        let mut fixture = Fixture::new();
        assert!(fixture.is_replaced().await);
        let (read_before, tls) = (fixture.watched.tls.current(), fixture.watched.tls.clone());
        tls.replace(LoadedTls::read(read_before.files()).unwrap());
        let late = Arc::new(LoadedTls::read(read_before.files()).unwrap());
        assert!(!tls.replace_if_current(&read_before, late));
        // It is read again, in case that the files have changed while the reload read them.
        assert!(fixture.is_replaced().await && !fixture.is_replaced().await);
    }
}
