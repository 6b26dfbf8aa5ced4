//! An order: one pet, from being placed to its new home.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::pet::{Pet, Status};

vocabulary! {
    /// How far an order has come.
    OrderStatus {
        /// Waits for the shop's word.
        Placed = "PLACED",
        /// Will be sent.
        Approved = "APPROVED",
        /// On its way.
        Shipped = "SHIPPED",
        /// Arrived: closed.
        Delivered = "DELIVERED",
        /// Given up: closed.
        Cancelled = "CANCELLED",
    }
}

impl OrderStatus {
    /// Whether an order in this status may be moved to `to`: one step on, or given up as long as the pet has not
    /// left the shop. What is on its way arrives.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Placed, Self::Approved | Self::Cancelled)
                | (Self::Approved, Self::Shipped | Self::Cancelled)
                | (Self::Shipped, Self::Delivered)
        )
    }

    /// The status of the pet of such an order, from the moment in which the order takes its own.
    #[must_use]
    pub const fn pet(self) -> Status {
        match self {
            Self::Placed | Self::Approved | Self::Shipped => Status::Pending,
            Self::Delivered => Status::Adopted,
            Self::Cancelled => Status::Available,
        }
    }
}

/// An order, in the shape of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// UUIDv7, so that ids sort by the time of creation.
    pub id: Uuid,
    /// The pet; when the order is closed, it may be gone.
    pub pet_id: Uuid,
    /// How far it has come.
    pub status: OrderStatus,
    /// What the pet cost when the order was placed: exact decimal, a string on the wire.
    pub price: Decimal,
    /// ISO 4217 code of the price.
    pub currency: String,
    /// When it was placed (RFC 3339, UTC).
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when placed, one more at each change.
    pub version: u64,
}

impl Order {
    /// A new order for `pet`, placed at `at`.
    pub(super) fn new(pet: &Pet, at: Timestamp) -> Self {
        Self {
            id: Uuid::now_v7(),
            pet_id: pet.id,
            status: OrderStatus::Placed,
            price: pet.price,
            currency: pet.currency.clone(),
            created_at: at,
            updated_at: at,
            version: 1,
        }
    }
}

/// Which orders; an empty filter takes all. Conditions are joined by AND, the values of one list by OR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Any of these statuses; empty: all.
    pub status: Vec<OrderStatus>,
    /// Of this pet.
    pub pet: Option<Uuid>,
}

/// Some of the orders that a filter takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderPage {
    /// Oldest first.
    pub orders: Vec<Order>,
    /// The order behind which the next page begins; `None` when there are no more.
    pub next: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_goes_one_step_at_a_time_and_never_back() {
        use OrderStatus::{Approved, Cancelled, Delivered, Placed, Shipped};
        let moves =
            [(Placed, Approved), (Placed, Cancelled), (Approved, Shipped), (Approved, Cancelled), (Shipped, Delivered)];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                assert_eq!(from.may_become(*to), moves.contains(&(*from, *to)), "{from:?} -> {to:?}");
            }
        }
    }
}
