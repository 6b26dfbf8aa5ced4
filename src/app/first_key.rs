//! The first key, which a start without any key makes, and the way of its secret to the operator.

use super::AppError;
use crate::auth::keyring::Keyring;
use crate::config::Config;
use crate::store::Store;

/// Name of the file beside the database that keeps the secret.
const FILE_NAME: &str = "petstream.key";

/// Makes a first key if there never was any. Returns its secret where it is to be shown; elsewhere the secret is in a
/// file, and the log, which may be shipped to other places, has its path only. A secret that can be neither shown nor
/// kept belongs to no key: with a database in memory the server then starts without keys, and says so.
pub(super) async fn make_first_key(
    config: &Config,
    store: &Store,
    keyring: Option<&Keyring>,
) -> Result<Option<String>, AppError> {
    let Some(keyring) = keyring else { return Ok(None) };
    if config.print_key {
        return keyring.ensure_first(None).await.map_err(AppError::FirstKey);
    }
    let Some(database) = store.path() else {
        if keyring.is_empty() {
            tracing::warn!(
                "there is no API key, so every request but probes gets 401: make one with `petstream keys create`; for a \
                 database in memory, set PETSTREAM_API_KEY, list keys in the configuration file, or start with \
                 --print-key"
            );
        }
        return Ok(None);
    };
    let file = database.with_file_name(FILE_NAME);
    if keyring.ensure_first(Some(&file)).await.map_err(AppError::FirstKey)?.is_some() {
        tracing::warn!(
            file = %file.display(),
            "a first API key was made, since there was none; its secret is in this file: keep it elsewhere and remove \
             the file"
        );
    }
    Ok(None)
}
