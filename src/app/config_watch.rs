//! Reads the configuration again when the content of its file has changed (`reload: watch`).
//!
//! Once a second the content is read and compared with that of the last reload, so it does not matter how the file was
//! changed: rewritten, renamed into its place, or by a symbolic link that points elsewhere, which is how Kubernetes
//! updates a ConfigMap. A changed file is loaded when it has been the same for a second, since it may be half written.

use std::time::Duration;

use super::reload::Reloader;
use crate::config::{FileVersion, ReloadMode, file_version};

/// Time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Checks the file for as long as it is polled, whenever the configuration in force says so.
pub(super) async fn watch(reloader: Reloader) {
    let mut checked: Option<FileVersion> = None;
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let Some((sources, mode, loaded)) = reloader.watched().await else { return };
        if mode == ReloadMode::Manual {
            continue;
        }
        let Ok(current) = tokio::task::spawn_blocking(move || file_version(&sources)).await else { continue };
        let has_settled = current == checked;
        checked = current;
        if has_settled && current != loaded {
            reloader.reload("the file has changed").await;
        }
    }
}
