//! How many pets and orders there may be, in all and of each API key that makes them.
//!
//! A pet too many is refused: only people can say which of the others may go. Of orders the oldest closed ones are
//! forgotten instead; open ones never are, and there is at most one for each pet.

use super::change::Change;
use super::command_error::CommandError;
use crate::bound::Exceeded;

/// How many more orders may pile up before they are forgotten.
const SLACK: i64 = 100;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Pets.
    pub pets: u64,
    /// Pets that one key has made.
    pub pets_of_a_key: u64,
    /// Orders that are kept, open ones aside.
    pub orders: u64,
    /// Those that one key has placed.
    pub orders_of_a_key: u64,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { pets: 10_000, pets_of_a_key: 5_000, orders: 100_000, orders_of_a_key: 50_000 }
    }
}

impl Change {
    /// Refuses a pet of `maker` that would be one too many.
    pub(super) async fn check_room(&mut self, maker: &str, capacity: &Capacity) -> Result<(), CommandError> {
        let counts = "SELECT count(*), (SELECT count(*) FROM pets WHERE made_by = ?) FROM pets";
        let (all, own): (i64, i64) = sqlx::query_as(counts).bind(maker).fetch_one(self.connection()).await?;
        let reached = |count: i64, most: u64| count.unsigned_abs() >= most;
        if capacity.pets_of_a_key < capacity.pets && reached(own, capacity.pets_of_a_key) {
            return Err(CommandError::TooManyPets(Exceeded::Share(capacity.pets_of_a_key)));
        }
        if reached(all, capacity.pets) {
            return Err(CommandError::TooManyPets(Exceeded::Total(capacity.pets)));
        }
        Ok(())
    }

    /// Forgets the oldest closed orders beyond the bounds, every now and then: `row` is the number of the newest one.
    pub(super) async fn forget_orders(
        &mut self,
        row: i64,
        maker: &str,
        capacity: &Capacity,
    ) -> Result<(), CommandError> {
        if row % SLACK != 0 {
            return Ok(());
        }
        let most = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let own = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE made_by = ?1 AND \
                   status IN ('DELIVERED', 'CANCELLED') ORDER BY id \
                   LIMIT max(0, (SELECT count(*) FROM orders WHERE made_by = ?1) - ?2))";
        sqlx::query(own).bind(maker).bind(most(capacity.orders_of_a_key)).execute(self.connection()).await?;
        let all = "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE status IN ('DELIVERED', 'CANCELLED') \
                   ORDER BY id LIMIT max(0, (SELECT count(*) FROM orders) - ?))";
        sqlx::query(all).bind(most(capacity.orders)).execute(self.connection()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::petstore::command_error::Expected;
    use crate::petstore::filter::{PetFilter, Sort};
    use crate::petstore::order::{OrderFilter, OrderStatus};
    use crate::petstore::pets::tests::{empty, fields, made};

    #[tokio::test]
    async fn a_pet_too_many_is_refused_and_another_key_still_has_room() {
        let (_store, pets) = empty().await;
        let pets = pets.with_capacity(Capacity { pets: 5, pets_of_a_key: 2, ..Capacity::default() });
        let add = async |maker: &str| pets.create_pet(maker, fields(), None).await.map(|done| done.value);
        let first = add("one").await.unwrap();
        add("one").await.unwrap();
        let full =
            |refused: &CommandError, exceeded| matches!(refused, CommandError::TooManyPets(told) if *told == exceeded);
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
        pets.delete_pet(first.id, &Expected::Any).await.unwrap();
        add("one").await.unwrap();
    }

    #[tokio::test]
    async fn whoever_reads_all_pets_lets_others_have_their_turn() {
        let (_store, pets) = empty().await;
        for _ in 0..1_000 {
            made(&pets).await;
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
        pets.each(&PetFilter::default(), Sort::Name, &mut visit).await.unwrap();
        other.abort();
        assert_eq!(count, 1_000);
        assert!(turns.load(std::sync::atomic::Ordering::Relaxed) >= 1_000 / 64);
    }

    #[tokio::test]
    async fn the_oldest_closed_orders_of_a_key_are_forgotten_and_nobody_elses() {
        let (_store, pets) = empty().await;
        let pets = pets.with_capacity(Capacity { orders: 150, orders_of_a_key: 20, ..Capacity::default() });
        let pet = made(&pets).await.id;
        let cancelled = async |maker: &str| {
            let order = pets.place_order(maker, pet, None).await.unwrap().value;
            pets.move_order(order.id, Some(OrderStatus::Cancelled), &Expected::Any).await.unwrap()
        };
        let others = cancelled("other").await;
        let first = cancelled("one").await;
        let open = pets.place_order("one", made(&pets).await.id, None).await.unwrap().value;
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
}
