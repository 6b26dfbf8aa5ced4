//! The operations on models that clients ask for: each is an API of its own, with its own path, request and answer.

/// An operation on a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Chat completions: `POST /v1/chat/completions`.
    #[default]
    Chat,
    /// Completions of a plain prompt, OpenAI's older API: `POST /v1/completions`.
    Completions,
    /// Embeddings: `POST /v1/embeddings`.
    Embeddings,
}

impl Operation {
    /// All operations, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Completions, Self::Embeddings];

    /// The name in the configuration (`apis`), in logs and in usage records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The operation of this [`Operation::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The name in OpenTelemetry's conventions for generative AI (`gen_ai.operation.name`).
    #[must_use]
    pub const fn convention_name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
        }
    }

    /// The path of its resource, here and at upstreams, relative to `/v1`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The parameter with the input of the model.
    #[must_use]
    pub const fn input_param(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
            Self::Embeddings => "input",
        }
    }
}

/// A set of operations. Default: chat alone, as for an upstream without `apis`.
///
/// ```
/// use petstream::wire::operation::{Operation, Operations};
///
/// let both: Operations = [Operation::Embeddings, Operation::Chat].into_iter().collect();
/// assert!(both.contains(Operation::Chat) && !both.contains(Operation::Completions));
/// assert_eq!(both.iter().map(Operation::name).collect::<Vec<_>>(), ["chat", "embeddings"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u8);

impl Default for Operations {
    fn default() -> Self {
        [Operation::Chat].into_iter().collect()
    }
}

impl Operations {
    /// Whether the operation is in the set.
    #[must_use]
    pub const fn contains(self, operation: Operation) -> bool {
        self.0 & bit(operation) != 0
    }

    /// The operations of the set, in the order of [`Operation::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL.into_iter().filter(move |operation| self.contains(*operation))
    }
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        Self(operations.into_iter().fold(0, |bits, operation| bits | bit(operation)))
    }
}

const fn bit(operation: Operation) -> u8 {
    1 << operation as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name_and_has_a_bit_of_its_own() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(Operation::from_name(operation.name()), Some(operation));
            assert_eq!(operation as usize, index);
            let alone: Operations = [operation].into_iter().collect();
            assert!(Operation::ALL.into_iter().all(|other| alone.contains(other) == (other == operation)));
        }
        assert_eq!(Operation::from_name("Chat"), None);
    }
}
