//! The name of this process among the replicas.

use std::fmt;
use std::sync::Arc;

/// A random name, drawn at the start: a replica that starts again is another one, which has no claim to what the one
/// before held.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId(Arc<str>);

impl ReplicaId {
    /// Length of a name, characters.
    pub const LEN: usize = 16;

    /// Draws a name: 64 random bits, as 16 hexadecimal digits.
    #[must_use]
    pub fn random() -> Self {
        let random = uuid::Uuid::new_v4();
        // The first eight bytes have four fixed bits; the last eight have two.
        Self(hex::encode(&random.as_bytes()[8..]).into())
    }

    /// The name that another replica has written; none: it is no name of a replica.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = text.len() == Self::LEN && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_can_be_read_again() {
        let (one, other) = (ReplicaId::random(), ReplicaId::random());
        assert_ne!(one, other);
        assert_eq!(ReplicaId::parse(one.as_str()), Some(one));
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"] {
            assert_eq!(ReplicaId::parse(wrong), None, "{wrong}");
        }
    }
}
