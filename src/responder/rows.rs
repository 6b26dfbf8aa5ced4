//! Runs queries against the database: one pass over the filtered inventory for each level of nesting.

use std::collections::HashSet;

use uuid::Uuid;

use super::query::{Query, Selection};
use crate::petstore::PetStore;
use crate::store::StoreError;
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::pet::Pet;

/// Calls `visit` with every pet that the query selects, in its order.
///
/// Memory is bounded by what `visit` keeps plus 16 bytes for each pet that a nested query finds.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub(super) async fn scan(
    pets: &PetStore,
    query: &Query,
    visit: &mut (dyn FnMut(Pet) + Send),
) -> Result<(), StoreError> {
    let mut found_by_inner = HashSet::new();
    // From the innermost outwards, so that at most two sets of ids exist at a time.
    for level in query.nesting() {
        let within = level.within.is_some().then_some(&found_by_inner);
        if std::ptr::eq(level, query) {
            return scan_level(pets, query, within, visit).await;
        }
        let mut found = HashSet::new();
        scan_level(pets, level, within, &mut |pet| {
            found.insert(pet.id);
        })
        .await?;
        found_by_inner = found;
    }
    Ok(())
}

/// Runs one level: `within` has the ids of the pets that the nested query found.
async fn scan_level(
    pets: &PetStore,
    query: &Query,
    within: Option<&HashSet<Uuid>>,
    visit: &mut (dyn FnMut(Pet) + Send),
) -> Result<(), StoreError> {
    let query = query.clone().with_default_status();
    let filter = match query.any_of.as_slice() {
        [one] => one.to_filter(),
        _ => PetFilter::default(),
    };
    let mut selector =
        Selector { selection: query.selection, sort: query.sort, seen: 0, first: None, last: Vec::new() };
    let mut done = false;
    let mut visit_row = |pet: Pet| {
        let selected = query.matches(&pet) && within.is_none_or(|ids| ids.contains(&pet.id));
        done = selected && !selector.offer(pet, visit);
        !done
    };
    pets.visit(&filter, query.sort, &mut visit_row).await?;
    if !done {
        selector.finish(visit);
    }
    Ok(())
}

/// Applies a [`Selection`] to the sorted sequence of matching pets.
struct Selector {
    selection: Option<Selection>,
    sort: Sort,
    seen: usize,
    first: Option<Pet>,
    /// The most recent pets, for an index from the end.
    last: Vec<Pet>,
}

impl Selector {
    /// Handles the next pet. `false`: no later one can be selected, so the scan may end.
    fn offer(&mut self, pet: Pet, visit: &mut (dyn FnMut(Pet) + Send)) -> bool {
        let index = self.seen;
        self.seen += 1;
        match self.selection {
            None => visit(pet),
            Some(Selection::First(max)) => {
                if index < max {
                    visit(pet);
                }
                return self.seen < max;
            }
            Some(Selection::FirstWithTies) => {
                if self.first.as_ref().is_some_and(|first| !ties(first, &pet, self.sort)) {
                    return false;
                }
                self.first.get_or_insert_with(|| pet.clone());
                visit(pet);
            }
            Some(Selection::Nth(wanted)) if wanted >= 0 => {
                if usize::try_from(wanted) == Ok(index) {
                    visit(pet);
                    return false;
                }
            }
            Some(Selection::Nth(wanted)) => {
                self.last.push(pet);
                if self.last.len() > wanted.unsigned_abs() as usize {
                    self.last.remove(0);
                }
            }
        }
        true
    }

    fn finish(self, visit: &mut (dyn FnMut(Pet) + Send)) {
        if let Some(Selection::Nth(wanted)) = self.selection
            && wanted < 0
            && self.last.len() == wanted.unsigned_abs() as usize
            && let Some(pet) = self.last.into_iter().next()
        {
            visit(pet);
        }
    }
}

/// Whether the two are equal in the sort order.
fn ties(one: &Pet, two: &Pet, sort: Sort) -> bool {
    match sort {
        Sort::PriceAscending | Sort::PriceDescending => one.price == two.price,
        Sort::AgeAscending | Sort::AgeDescending => one.age_months == two.age_months,
        Sort::Name => one.name == two.name,
        Sort::Created => false,
    }
}
