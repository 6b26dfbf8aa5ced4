//! An order of one pet, its status and the moves between statuses, and the filter and page of a list of orders.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::pet::{Pet, Status};

word_enum! {
    /// The status of an order.
    OrderStatus {
        /// Waits for approval.
        Placed = "PLACED",
        /// Approved, not yet shipped.
        Approved = "APPROVED",
        /// On its way.
        Shipped = "SHIPPED",
        /// Delivered. Final.
        Delivered = "DELIVERED",
        /// Cancelled. Final.
        Cancelled = "CANCELLED",
    }
}

impl OrderStatus {
    /// Whether an order may change from this status to `to`: one step forward, or cancelled before it is shipped.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Placed, Self::Approved | Self::Cancelled)
                | (Self::Approved, Self::Shipped | Self::Cancelled)
                | (Self::Shipped, Self::Delivered)
        )
    }

    /// The status that the pet gets together with this status of its order.
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
    /// The pet. It may have been deleted after the order was delivered or cancelled.
    pub pet_id: Uuid,
    /// The status.
    pub status: OrderStatus,
    /// The price of the pet when the order was placed: exact decimal, a string on the wire.
    pub price: Decimal,
    /// ISO 4217 code of the price.
    pub currency: String,
    /// Time of the order (RFC 3339, UTC).
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// 1 when placed, plus one with each change.
    pub version: u64,
}

impl Order {
    /// A new order of `pet` in version 1, placed at `at`, with a new id.
    #[must_use]
    pub fn new(pet: &Pet, at: Timestamp) -> Self {
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

/// A filter for orders. Both conditions must hold; an empty list and `None` match every order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// One of these statuses.
    pub status: Vec<OrderStatus>,
    /// Of this pet.
    pub pet: Option<Uuid>,
}

/// A page of the orders that match a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderPage {
    /// Oldest first.
    pub orders: Vec<Order>,
    /// The order after which the next page begins; `None` on the last page.
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
