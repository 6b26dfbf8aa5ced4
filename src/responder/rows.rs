//! Queries to rows: the inventory is read in one pass for each query, and [`Query::admits`] has the last word.

use std::collections::HashSet;

use uuid::Uuid;

use super::query::{Query, Take};
use crate::petstore::PetStore;
use crate::petstore::filter::{PetFilter, Sort};
use crate::petstore::pet::Pet;
use crate::store::StoreError;

/// Calls `visit` with every pet that the query means, in its order.
///
/// Memory is bounded by what `visit` keeps, and by 16 bytes for each pet of a query that
/// this one looks within.
///
/// # Errors
/// What the database says.
pub(super) async fn scan(
    pets: &PetStore,
    query: &Query,
    visit: &mut (dyn FnMut(Pet) + Send),
) -> Result<(), StoreError> {
    let mut known = HashSet::new();
    // From the innermost outwards, so that one set at a time is held.
    for outer in query.chain() {
        let within = outer.within.is_some().then_some(&known);
        if std::ptr::eq(outer, query) {
            return level(pets, query, within, visit).await;
        }
        let mut found = HashSet::new();
        level(pets, outer, within, &mut |pet| {
            found.insert(pet.id);
        })
        .await?;
        known = found;
    }
    Ok(())
}

/// One query, the set that it looks within being known.
async fn level(
    pets: &PetStore,
    query: &Query,
    within: Option<&HashSet<Uuid>>,
    visit: &mut (dyn FnMut(Pet) + Send),
) -> Result<(), StoreError> {
    let query = query.clone().with_default_status();
    let filter = match query.any.as_slice() {
        [one] => one.to_filter(),
        _ => PetFilter::default(),
    };
    let mut taker = Taker { take: query.take, sort: query.sort, seen: 0, first: None, last: Vec::new() };
    let mut over = false;
    let mut take = |pet: Pet| {
        let meant = query.admits(&pet) && within.is_none_or(|ids| ids.contains(&pet.id));
        over = meant && !taker.offer(pet, visit);
        !over
    };
    pets.each(&filter, query.sort, &mut take).await?;
    if !over {
        taker.finish(visit);
    }
    Ok(())
}

/// Passes on what [`Take`] says of an ordered sequence.
struct Taker {
    take: Option<Take>,
    sort: Sort,
    seen: usize,
    first: Option<Pet>,
    /// The last pets, newest at the end, where one is counted from the end.
    last: Vec<Pet>,
}

impl Taker {
    /// Takes a pet; `false` when no later one can matter.
    fn offer(&mut self, pet: Pet, visit: &mut (dyn FnMut(Pet) + Send)) -> bool {
        let place = self.seen;
        self.seen += 1;
        match self.take {
            None => visit(pet),
            Some(Take::First(most)) => {
                if place < most {
                    visit(pet);
                }
                return self.seen < most;
            }
            Some(Take::Extreme) => {
                if self.first.as_ref().is_some_and(|first| !ties(first, &pet, self.sort)) {
                    return false;
                }
                self.first.get_or_insert_with(|| pet.clone());
                visit(pet);
            }
            Some(Take::Nth(wanted)) if wanted >= 0 => {
                if usize::try_from(wanted) == Ok(place) {
                    visit(pet);
                    return false;
                }
            }
            Some(Take::Nth(wanted)) => {
                self.last.push(pet);
                if self.last.len() > wanted.unsigned_abs() as usize {
                    self.last.remove(0);
                }
            }
        }
        true
    }

    fn finish(self, visit: &mut (dyn FnMut(Pet) + Send)) {
        if let Some(Take::Nth(wanted)) = self.take
            && wanted < 0
            && self.last.len() == wanted.unsigned_abs() as usize
            && let Some(pet) = self.last.into_iter().next()
        {
            visit(pet);
        }
    }
}

/// Whether the order has nothing to choose between the two.
fn ties(one: &Pet, two: &Pet, sort: Sort) -> bool {
    match sort {
        Sort::PriceAscending | Sort::PriceDescending => one.price == two.price,
        Sort::AgeAscending | Sort::AgeDescending => one.age_months == two.age_months,
        Sort::Name => one.name == two.name,
        Sort::Created => false,
    }
}
