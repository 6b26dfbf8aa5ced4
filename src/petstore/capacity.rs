//! Bounds on the numbers of pets and orders, in all and for each API key that created them.
//!
//! At a bound of pets, a new pet is refused: only an operator can decide which others may be deleted. At a bound of
//! orders, the oldest closed ones are deleted. Open orders never are; there is at most one for each pet.

use super::change::Change;
use super::command_error::CommandError;
use crate::bound::Exceeded;

/// Old orders are deleted once in so many new ones, so the numbers may exceed the bounds by this.
const CLEANUP_INTERVAL: i64 = 100;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Pets. Default 10,000.
    pub pets: u64,
    /// Pets created with one key. Default 5,000.
    pub pets_of_a_key: u64,
    /// Orders, open ones included. Default 100,000.
    pub orders: u64,
    /// Orders placed with one key, open ones included. Default 50,000.
    pub orders_of_a_key: u64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { pets: 10_000, pets_of_a_key: 5_000, orders: 100_000, orders_of_a_key: 50_000 }
    }
}

impl Change {
    /// Fails if another pet of `maker` would exceed a bound.
    pub(super) async fn check_capacity(&mut self, maker: &str, capacity: &Capacity) -> Result<(), CommandError> {
        let counts = self.transaction.count_pets(maker).await?;
        if capacity.pets_of_a_key < capacity.pets && counts.of_maker >= capacity.pets_of_a_key {
            return Err(CommandError::TooManyPets(Exceeded::Share(capacity.pets_of_a_key)));
        }
        if counts.total >= capacity.pets {
            return Err(CommandError::TooManyPets(Exceeded::Total(capacity.pets)));
        }
        Ok(())
    }

    /// Deletes the oldest closed orders beyond the bounds if `row`, the number of the newest order, is a multiple of
    /// 100. Checks the share of each key that has placed one of the last 100.
    pub(super) async fn delete_old_orders(&mut self, row: i64, capacity: &Capacity) -> Result<(), CommandError> {
        if row % CLEANUP_INTERVAL != 0 {
            return Ok(());
        }
        for maker in self.transaction.makers_of_orders_after(row - CLEANUP_INTERVAL).await? {
            self.transaction.delete_closed_orders_of(&maker, capacity.orders_of_a_key).await?;
        }
        self.transaction.delete_closed_orders(capacity.orders).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::petstore::ExpectedVersion;
    use crate::petstore::pet_commands::tests::{empty, fields, new_pet};
    use crate::wire::resource::filter::{PetFilter, Sort};
    use crate::wire::resource::order::{OrderFilter, OrderStatus};

    #[tokio::test]
    async fn a_pet_beyond_the_bound_of_a_key_is_refused_and_other_keys_may_create_more() {
        let (_store, pets) = empty().await;
        let pets = pets.with_capacity(Capacity { pets: 5, pets_of_a_key: 2, ..Capacity::default() });
        let add = async |maker: &str| pets.create_pet(maker, fields(), None).await.map(|done| done.value);
        let first = add("one").await.unwrap();
        add("one").await.unwrap();
        let full = |refused: &CommandError, exceeded| matches!(refused, CommandError::TooManyPets(bound) if *bound == exceeded);
        let refused = add("one").await.unwrap_err();
        assert!(full(&refused, Exceeded::Share(2)));
        assert_eq!(
            refused.to_string(),
            "Your API key has made 2 of the pets, as many as one key may have; delete one first."
        );
        add("two").await.unwrap();
        add("two").await.unwrap();
        add("three").await.unwrap();
        let refused = add("three").await.unwrap_err();
        assert!(full(&refused, Exceeded::Total(5)));
        assert_eq!(refused.to_string(), "The store has as many pets as it may have, 5; delete one first.");
        pets.delete_pet(first.id, &ExpectedVersion::Any).await.unwrap();
        add("one").await.unwrap();
    }

    #[tokio::test]
    async fn other_tasks_run_while_all_pets_are_read() {
        let (_store, pets) = empty().await;
        for _ in 0..1_000 {
            new_pet(&pets).await;
        }
        let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut count = 0;
        let mut visit = |_| {
            count += 1;
            true
        };
        pets.visit(&PetFilter::default(), Sort::Name, &mut visit).await.unwrap();
        other.abort();
        assert_eq!(count, 1_000);
        assert!(turns.load(std::sync::atomic::Ordering::Relaxed) >= 1_000 / 64);
    }

    #[tokio::test]
    async fn the_oldest_closed_orders_of_a_key_are_deleted_and_no_others() {
        let (_store, pets) = empty().await;
        let pets = pets.with_capacity(Capacity { orders: 150, orders_of_a_key: 20, ..Capacity::default() });
        let pet = new_pet(&pets).await.id;
        let cancelled = async |maker: &str| {
            let order = pets.place_order(maker, pet, None).await.unwrap().value;
            pets.move_order(order.id, Some(OrderStatus::Cancelled), &ExpectedVersion::Any).await.unwrap()
        };
        let others = cancelled("other").await;
        let first = cancelled("one").await;
        let open = pets.place_order("one", new_pet(&pets).await.id, None).await.unwrap().value;
        let mut last = cancelled("one").await;
        for _ in 0..200 {
            last = cancelled("one").await;
        }
        let kept = async |id| pets.order(id).await.unwrap().is_some();
        assert!(!kept(first.id).await && kept(last.id).await);
        assert!(kept(open.id).await && kept(others.id).await);
        let all = pets.orders(&OrderFilter::default(), 1_000, None).await.unwrap().value.orders;
        assert!(all.len() <= 21 + 100, "{}", all.len());
    }

    #[tokio::test]
    async fn a_key_that_never_places_the_hundredth_order_keeps_no_more_than_its_share() {
        let (_store, pets) = empty().await;
        let pets = pets.with_capacity(Capacity { orders: 1_000, orders_of_a_key: 20, ..Capacity::default() });
        let pet = new_pet(&pets).await.id;
        let mut placed = Vec::new();
        for maker in ["one", "other"].into_iter().cycle().take(200) {
            let order = pets.place_order(maker, pet, None).await.unwrap().value;
            pets.move_order(order.id, Some(OrderStatus::Cancelled), &ExpectedVersion::Any).await.unwrap();
            placed.push((maker, order.id));
        }
        // The newest order was open when the share was checked.
        for (maker, expected) in [("one", 20), ("other", 20)] {
            let mut kept = 0;
            for (_, id) in placed.iter().filter(|(placed_by, _)| *placed_by == maker) {
                kept += usize::from(pets.order(*id).await.unwrap().is_some());
            }
            assert_eq!(kept, expected, "{maker}");
        }
    }
}
