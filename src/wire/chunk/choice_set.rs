//! A set of choices.

/// A set of choice indexes from 0 to 127, the range of `n`. Larger indexes are never members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChoiceSet(u128);

impl ChoiceSet {
    /// The first `count` choices.
    #[must_use]
    pub const fn first(count: u64) -> Self {
        Self(if count >= 128 { u128::MAX } else { (1 << count) - 1 })
    }

    /// Adds a choice. An index beyond 127 is ignored.
    pub const fn insert(&mut self, index: u64) {
        if index < 128 {
            self.0 |= 1 << index;
        }
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the choice is in the set.
    #[must_use]
    pub const fn contains(self, index: u64) -> bool {
        index < 128 && self.0 >> index & 1 == 1
    }

    /// The choices that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The choices of this set that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The choices that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The number of choices.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The smallest index that is not in the set.
    #[must_use]
    pub const fn leading(self) -> u32 {
        self.0.trailing_ones()
    }

    /// One more than the largest index; 0 for an empty set.
    #[must_use]
    pub const fn end(self) -> u32 {
        128 - self.0.leading_zeros()
    }

    /// The indexes in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        (0..u64::from(self.end())).filter(move |index| self.contains(*index))
    }
}

impl FromIterator<u64> for ChoiceSet {
    fn from_iter<T: IntoIterator<Item = u64>>(all: T) -> Self {
        let mut set = Self::default();
        all.into_iter().for_each(|index| set.insert(index));
        set
    }
}
