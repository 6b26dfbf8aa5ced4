//! Why a command was not done.

use std::fmt;

use uuid::Uuid;

use super::order::OrderStatus;
use super::pet::Status;
use crate::bound::Exceeded;
use crate::store::StoreError;

/// Why nothing was changed.
#[derive(Debug)]
pub enum CommandError {
    /// There is no pet of this id.
    NoPet(Uuid),
    /// There is no order of this id.
    NoOrder(Uuid),
    /// The resource is not in a version that the caller expects.
    Version {
        /// The version that it is in.
        current: u64,
    },
    /// The pet has an open order, which alone decides about its status and keeps it from being deleted.
    OpenOrder(Uuid),
    /// Only available pets can be ordered.
    NotAvailable(Status),
    /// An order does not go from the one status to the other.
    Move {
        /// What it is.
        from: OrderStatus,
        /// What it was to become.
        to: OrderStatus,
    },
    /// The price has more decimals than its currency.
    Decimals {
        /// The currency.
        currency: String,
        /// How many it has.
        most: u32,
    },
    /// The idempotency key came before, with another request.
    KeyReused,
    /// There are as many pets as there may be, or as many that the key has made.
    TooManyPets(Exceeded),
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for CommandError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPet(id) => write!(f, "There is no pet {id}."),
            Self::NoOrder(id) => write!(f, "There is no order {id}."),
            Self::Version { current } => {
                write!(f, "The resource is in version {current}, which is not the expected one; read it again.")
            }
            Self::OpenOrder(order) => write!(f, "The pet has an open order, {order}; move or cancel that first."),
            Self::NotAvailable(status) => {
                write!(f, "The pet is {}; only {} pets can be ordered.", status.name(), Status::Available.name())
            }
            Self::Move { from, to } => write!(f, "An order that is {} can't become {}.", from.name(), to.name()),
            Self::Decimals { currency, most: 0 } => write!(f, "must have no decimals in {currency}"),
            Self::Decimals { currency, most } => write!(f, "must have at most {most} decimals in {currency}"),
            Self::KeyReused => {
                f.write_str("This Idempotency-Key was used for another request; take a new key for a new request.")
            }
            Self::TooManyPets(Exceeded::Share(most)) => {
                write!(f, "Your API key has made {most} of the pets, as many as one key may have; delete one first.")
            }
            Self::TooManyPets(Exceeded::Total(most)) => {
                write!(f, "The store has as many pets as it may have, {most}; delete one first.")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommandError {}

/// In which version a resource must be to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// In any.
    #[default]
    Any,
    /// In one of these; none: never.
    OneOf(Vec<u64>),
}

impl Expected {
    /// Refuses a `current` version that is not expected.
    pub(super) fn check(&self, current: u64) -> Result<(), CommandError> {
        match self {
            Self::OneOf(versions) if !versions.contains(&current) => Err(CommandError::Version { current }),
            _ => Ok(()),
        }
    }
}
