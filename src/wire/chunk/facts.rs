//! What a relay must know of a chunk.

/// Token counts as upstreams report them. A zero says nothing: servers that do not know a count send one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion, reasoning included.
    pub completion_tokens: u64,
}

/// A set of choices, by their index. The contract knows 128 of them; others are in no set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indices(u128);

impl Indices {
    /// The first `count` choices.
    #[must_use]
    pub const fn first(count: u64) -> Self {
        Self(if count >= 128 { u128::MAX } else { (1 << count) - 1 })
    }

    /// Adds one.
    pub const fn insert(&mut self, index: u64) {
        if index < 128 {
            self.0 |= 1 << index;
        }
    }

    /// Whether none is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is in it.
    #[must_use]
    pub const fn contains(self, index: u64) -> bool {
        index < 128 && self.0 >> index & 1 == 1
    }

    /// Those of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// How many they are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// How many of them come before the first that is missing.
    #[must_use]
    pub const fn leading(self) -> u32 {
        self.0.trailing_ones()
    }

    /// One more than the greatest; 0 if there is none.
    #[must_use]
    pub const fn end(self) -> u32 {
        128 - self.0.leading_zeros()
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        (0..u64::from(self.end())).filter(move |index| self.contains(*index))
    }
}

impl FromIterator<u64> for Indices {
    fn from_iter<T: IntoIterator<Item = u64>>(all: T) -> Self {
        let mut set = Self::default();
        all.into_iter().for_each(|index| set.insert(index));
        set
    }
}

/// What a chunk says. Small and without anything on the heap: each token has one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    /// `choices` is a list; it may be empty.
    pub has_choices: bool,
    /// The choices that stand in it.
    pub seen: Indices,
    /// Those of them that it finishes: their `finish_reason` is a string that is not empty.
    pub finished: Indices,
    /// Those of them whose delta names a role.
    pub roles: Indices,
    /// In how many of them there is text of whatever kind.
    pub tokens: u32,
    /// Token counts, wherever in the chunk they stand.
    pub usage: Option<Usage>,
    /// It has a `usage` that is not null.
    pub has_usage: bool,
    /// It has a `usage` of null.
    pub null_usage: bool,
    /// It has an `error` of null, which the AI SDK takes for a failure.
    pub null_error: bool,
    /// Members of the last three kinds.
    pub hideable: u32,
    /// It ends no choice, yet has a `finish_reason` that is not null; or one that no client knows.
    pub odd_finish: bool,
    /// A tool call in it does not say which one it is.
    pub unnumbered_call: bool,
}
