//! The sections `petstore` and `responder`: the pets and orders, and the local model that answers questions about them.

use super::value::{flag, number, whole};
use super::walk::{Section, Walk};

/// The local model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponderConfig {
    /// Pace in tokens a second, for demonstrations, 0.1 to 100,000. Default none: as fast as possible.
    pub tokens_per_second: Option<f64>,
}

/// Pets and orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PetStoreConfig {
    /// Whether pets, orders, the inventory and events can be read without a key. Default false.
    pub public_reads: bool,
    /// Number of available pets of a species at or below which a notification reports low stock. Default 2, 0 to
    /// 1,000,000.
    pub low_stock: u32,
    /// Most pets. Default 10,000, 1 to 1,000,000. More: 409.
    pub pets: u64,
    /// Share of one key in `pets`. Default half, 1 to 1,000,000. More: 409.
    pub pets_per_key: Option<u64>,
    /// Most orders that are kept; beyond it the oldest closed ones are deleted. Default 100,000, 100 to 100,000,000.
    pub orders: u64,
    /// Share of one key in `orders`. Default half, 100 to 100,000,000.
    pub orders_per_key: Option<u64>,
}

impl Default for PetStoreConfig {
    fn default() -> Self {
        Self {
            public_reads: false,
            low_stock: 2,
            pets: 10_000,
            pets_per_key: None,
            orders: 100_000,
            orders_per_key: None,
        }
    }
}

impl PetStoreConfig {
    /// Pets that one key may create.
    #[must_use]
    pub fn pets_of_a_key(&self) -> u64 {
        self.pets_per_key.unwrap_or(self.pets.div_ceil(2)).min(self.pets)
    }

    /// Orders of one key that are kept.
    #[must_use]
    pub fn orders_of_a_key(&self) -> u64 {
        self.orders_per_key.unwrap_or(self.orders.div_ceil(2)).min(self.orders)
    }

    /// The same bounds, with the whole as the share of one key.
    #[must_use]
    pub(super) const fn undivided(self) -> Self {
        Self { pets_per_key: Some(self.pets), orders_per_key: Some(self.orders), ..self }
    }
}

/// Reads `responder`.
pub(super) fn responder(walk: &mut Walk, root: &mut Section) -> ResponderConfig {
    let field = walk.take(root, "responder");
    let mut section = walk.section("responder", field);
    let tokens_per_second = walk.read(&mut section, "tokens_per_second", number(0.1, 100_000.0));
    walk.finish(section);
    ResponderConfig { tokens_per_second }
}

/// Reads `petstore`.
pub(super) fn petstore(walk: &mut Walk, root: &mut Section) -> PetStoreConfig {
    let field = walk.take(root, "petstore");
    let mut section = walk.section("petstore", field);
    let default = PetStoreConfig::default();
    let petstore = PetStoreConfig {
        public_reads: walk.read(&mut section, "public_reads", flag).unwrap_or(default.public_reads),
        low_stock: walk.read(&mut section, "low_stock", whole(0, 1_000_000)).unwrap_or(default.low_stock),
        pets: walk.read(&mut section, "pets", whole(1, 1_000_000)).unwrap_or(default.pets),
        pets_per_key: walk.read(&mut section, "pets_per_key", whole(1, 1_000_000)),
        orders: walk.read(&mut section, "orders", whole(100, 100_000_000)).unwrap_or(default.orders),
        orders_per_key: walk.read(&mut section, "orders_per_key", whole(100, 100_000_000)),
    };
    walk.finish(section);
    petstore
}
