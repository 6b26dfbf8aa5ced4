//! Paths as clients see them: a proxy in front of the server may take away a prefix of the path.

use std::sync::Arc;

/// The path under which clients see this server's `/`; cheap to clone.
#[derive(Clone, Debug)]
pub struct PublicPath(Arc<str>);

impl PublicPath {
    /// `root` is a path from slash to slash.
    #[must_use]
    pub fn new(root: &str) -> Self {
        Self(root.trim_end_matches('/').into())
    }

    /// `path`, which begins with a slash, as clients see it.
    #[must_use]
    pub fn of(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_slash_between_the_root_and_the_rest() {
        assert_eq!(PublicPath::new("/").of("/api/pets"), "/api/pets");
        assert_eq!(PublicPath::new("/shop/").of("/api/pets"), "/shop/api/pets");
    }
}
