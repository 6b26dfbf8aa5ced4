//! One sentence, understood on its own: conditions, references and a wish.

use super::concept::Social;
use crate::petstore::filter::Sort;
use crate::petstore::pet::Gender;
use crate::responder::query::{Attribute, Conditions, Take};

/// What one sentence says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Clause {
    /// Alternatives of what is wanted; empty: nothing is said.
    pub(super) any: Vec<Conditions>,
    pub(super) none: Vec<Conditions>,
    /// Pets by name, lower case.
    pub(super) names: Vec<String>,
    /// A species or breed is named.
    pub(super) noun: bool,
    /// "pets", "animals": any species.
    pub(super) pets: bool,
    pub(super) any_status: bool,
    pub(super) order: Option<Sort>,
    pub(super) take: Option<Take>,
    pub(super) asks: Vec<Attribute>,
    pub(super) how_many: bool,
    pub(super) show: bool,
    pub(super) have: bool,
    pub(super) tell: bool,
    pub(super) cue: bool,
    pub(super) those: bool,
    pub(super) ones: bool,
    pub(super) it: Option<Option<Gender>>,
    pub(super) nth: Option<i32>,
    /// "or" was said: whether it is so has no answer of one word.
    pub(super) either: bool,
    pub(super) social: Option<Social>,
}

impl Clause {
    /// Whether it says nothing about pets.
    pub(super) fn is_empty(&self) -> bool {
        let social = Self { social: self.social, show: self.show, tell: self.tell, cue: self.cue, ..Self::default() };
        *self == social
    }
}
