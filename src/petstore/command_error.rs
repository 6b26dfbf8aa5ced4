//! Why a command was refused, with the texts that clients see.

use std::fmt;

use uuid::Uuid;

use crate::bound::Exceeded;
use crate::store::StoreError;
use crate::wire::resource::order::OrderStatus;
use crate::wire::resource::pet::Status;

/// Why a command was refused. Nothing was changed.
#[derive(Debug)]
pub enum CommandError {
    /// There is no pet with this id.
    NoPet(Uuid),
    /// There is no order with this id.
    NoOrder(Uuid),
    /// The resource is not in an expected version.
    VersionMismatch {
        /// The version of the resource.
        current: u64,
    },
    /// The pet has this open order, so it can't be deleted, and only the order can change its status.
    OpenOrder(Uuid),
    /// The pet has this status; only available pets can be ordered.
    NotAvailable(Status),
    /// An order can't change from one status to the other.
    InvalidTransition {
        /// The status of the order.
        from: OrderStatus,
        /// The requested status.
        to: OrderStatus,
    },
    /// The price has more decimal places than its currency.
    TooManyDecimals {
        /// The currency.
        currency: String,
        /// The number of its decimal places.
        max: u32,
    },
    /// The idempotency key was used for another request.
    KeyReused,
    /// The number of pets is at its bound, in all or for this API key.
    TooManyPets(Exceeded),
    /// The database failed.
    Store(StoreError),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPet(id) => write!(f, "There is no pet {id}."),
            Self::NoOrder(id) => write!(f, "There is no order {id}."),
            Self::VersionMismatch { current } => {
                write!(f, "The resource is in version {current}, which is not the expected one; read it again.")
            }
            Self::OpenOrder(order) => write!(f, "The pet has an open order, {order}; move or cancel that first."),
            Self::NotAvailable(status) => {
                write!(f, "The pet is {}; only {} pets can be ordered.", status.name(), Status::Available.name())
            }
            Self::InvalidTransition { from, to } => {
                write!(f, "An order that is {} can't become {}.", from.name(), to.name())
            }
            Self::TooManyDecimals { currency, max: 0 } => write!(f, "must have no decimals in {currency}"),
            Self::TooManyDecimals { currency, max } => write!(f, "must have at most {max} decimals in {currency}"),
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

/// The versions in which a resource may be changed (`If-Match`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Any version.
    #[default]
    Any,
    /// One of these versions; an empty list matches none.
    OneOf(Vec<u64>),
}

impl ExpectedVersion {
    /// Fails if the `current` version is not expected.
    pub(super) fn check(&self, current: u64) -> Result<(), CommandError> {
        match self {
            Self::OneOf(versions) if !versions.contains(&current) => Err(CommandError::VersionMismatch { current }),
            _ => Ok(()),
        }
    }
}
