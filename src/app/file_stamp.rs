//! Whether a file has changed since it was last read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Identifies the content of a file: device, inode, modification time (seconds, nanoseconds) and size.
///
/// That detects a file that was rewritten, one that was renamed into its place, and a symbolic link that points
/// elsewhere, which is how Kubernetes updates secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp(u64, u64, i64, i64, u64);

impl FileStamp {
    /// The version of the regular file at `path`; none: there is no such file.
    pub(super) async fn of(path: &Path) -> Option<Self> {
        let file = tokio::fs::metadata(path).await.ok().filter(std::fs::Metadata::is_file)?;
        Some(Self(file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
    }
}
