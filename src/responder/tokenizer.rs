//! The tokenizer, loaded when the first question needs it: its tables take memory that a server without questions does
//! not need.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::ResponderError;
use crate::offload::OffloadError;
use crate::wire::tokens::Tokenizer;

/// Loads the tokenizer on a thread of its own, once. Clones share the load.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenizerLoader {
    /// Held while a thread loads it, so that other requests wait without a thread.
    loading: Arc<Mutex<()>>,
}

impl TokenizerLoader {
    /// The tokenizer. The first call takes about 100 ms, and so do those meanwhile; dropping one does not end the load.
    ///
    /// # Errors
    /// [`ResponderError::Tokenizer`] when the table is damaged, [`ResponderError::Offload`] at the end of the server.
    pub(super) async fn get(&self) -> Result<Tokenizer, ResponderError> {
        if let Some(tokenizer) = Tokenizer::loaded() {
            return Ok(tokenizer);
        }
        let loading = Arc::clone(&self.loading).lock_owned().await;
        if let Some(tokenizer) = Tokenizer::loaded() {
            return Ok(tokenizer);
        }
        // Not in the offload pool, whose threads and queue belong to callers: this is the work of none of them.
        let loaded = tokio::task::spawn_blocking(move || {
            let _loading = loading;
            Tokenizer::load()
        });
        match loaded.await {
            Ok(tokenizer) => tokenizer.map_err(ResponderError::Tokenizer),
            Err(_ended) => Err(ResponderError::Offload(OffloadError::Stopping)),
        }
    }
}
