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
    /// Responses, OpenAI's newer API: `POST /v1/responses`.
    Responses,
    /// Messages, Anthropic's API: `POST /v1/messages`.
    Messages,
}

impl Operation {
    /// All operations, in the order of their discriminants.
    pub const ALL: [Self; 5] = [Self::Chat, Self::Completions, Self::Embeddings, Self::Responses, Self::Messages];

    /// The name in the configuration (`apis`), in logs and in usage records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// The operation of this [`Operation::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The name in OpenTelemetry's conventions for generative AI (`gen_ai.operation.name`), which allow own names where
    /// none is defined: for responses and messages, that tell the operations apart.
    #[must_use]
    pub const fn convention_name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// The operation that its requests can be translated to.
    #[must_use]
    pub const fn translated(self) -> Option<Self> {
        match self {
            Self::Responses | Self::Messages => Some(Self::Chat),
            Self::Chat => Some(Self::Messages),
            Self::Completions | Self::Embeddings => None,
        }
    }

    /// The path of its resource, here and at upstreams, relative to `/v1`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// The parameter with the input of the model.
    #[must_use]
    pub const fn input_param(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Responses => "input",
        }
    }
}

/// A resource of an upstream that requests are posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An answer to a request of this operation.
    Answer(Operation),
    /// The number of tokens of a request for a message.
    TokenCount,
}

impl Resource {
    /// The number of resources.
    pub const COUNT: usize = Operation::ALL.len() + 1;

    /// All resources, in the order of [`Resource::index`].
    #[must_use]
    pub fn all() -> [Self; Self::COUNT] {
        std::array::from_fn(|index| Operation::ALL.get(index).map_or(Self::TokenCount, |of| Self::Answer(*of)))
    }

    /// Its place among all resources.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Answer(operation) => operation as usize,
            Self::TokenCount => Operation::ALL.len(),
        }
    }

    /// Its path, relative to `/v1`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Answer(operation) => operation.path(),
            Self::TokenCount => "messages/count_tokens",
        }
    }

    /// Whether it is one of Anthropic's API.
    #[must_use]
    pub const fn is_of_messages(self) -> bool {
        matches!(self, Self::Answer(Operation::Messages) | Self::TokenCount)
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
    /// Chat, and the operations that can be translated to it.
    pub const CHAT: Self = Self(bit(Operation::Chat) | bit(Operation::Responses) | bit(Operation::Messages));

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

    #[test]
    fn every_resource_has_a_place_and_a_path_of_its_own() {
        let all = Resource::all();
        for (index, resource) in all.into_iter().enumerate() {
            assert_eq!(resource.index(), index);
            assert_eq!(all.iter().filter(|other| other.path() == resource.path()).count(), 1);
        }
    }
}
