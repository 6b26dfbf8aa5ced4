//! The parse result of one sentence: its slots, filled without regard to other sentences.

use super::concept::Social;
use crate::responder::query::{Attribute, Conditions, Selection};
use crate::wire::resource::filter::Sort;
use crate::wire::resource::pet::Gender;

/// The slots of a sentence. Those of a sentence without content are all empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Clause {
    /// Alternative conditions on the pets; empty: none are stated.
    pub(super) any_of: Vec<Conditions>,
    /// Excluded pets.
    pub(super) none_of: Vec<Conditions>,
    /// Pets by name, normalized.
    pub(super) names: Vec<String>,
    /// A species or breed is named.
    pub(super) noun: bool,
    /// "pets", "animals": any species.
    pub(super) generic_noun: bool,
    /// Any status will do.
    pub(super) any_status: bool,
    pub(super) sort: Option<Sort>,
    pub(super) selection: Option<Selection>,
    /// Attributes that are asked for.
    pub(super) asked: Vec<Attribute>,
    pub(super) how_many: bool,
    /// "show me", "which".
    pub(super) show: bool,
    /// "do you have".
    pub(super) have: bool,
    /// "tell me about".
    pub(super) describe: bool,
    /// The sentence is marked as a follow-up: "what about", "and".
    pub(super) follow_up: bool,
    /// "those", "they".
    pub(super) those: bool,
    /// "ones".
    pub(super) ones: bool,
    /// "it", or "he" and "she" with their gender.
    pub(super) pronoun: Option<Option<Gender>>,
    /// "the second one": an index into the list of an earlier answer; negative counts from the end.
    pub(super) ordinal: Option<i32>,
    /// The sentence contains "or", so that yes or no is no answer to it.
    pub(super) has_or: bool,
    pub(super) social: Option<Social>,
}

impl Clause {
    /// Whether it states and asks nothing about pets.
    pub(super) fn is_empty(&self) -> bool {
        let ignored = Self {
            social: self.social,
            show: self.show,
            describe: self.describe,
            follow_up: self.follow_up,
            ..Self::default()
        };
        *self == ignored
    }
}
