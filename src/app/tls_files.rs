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
