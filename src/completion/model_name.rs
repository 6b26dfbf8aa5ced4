//! Names of models in logs and records.

use std::sync::Arc;

/// Longest name that is logged, characters: clients choose names as they like.
const MAX_LEN: usize = 200;

/// The name, truncated to [`MAX_LEN`].
pub(super) fn truncated(name: &Arc<str>) -> Arc<str> {
    // Bytes are never fewer than characters.
    let end = if name.len() > MAX_LEN { name.char_indices().nth(MAX_LEN) } else { None };
    end.map_or_else(|| Arc::clone(name), |(end, _)| name[..end].into())
}
