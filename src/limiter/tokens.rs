//! A limit of tokens a minute.

use std::num::NonZeroU64;

use super::bucket::Bucket;
use super::quota::Quota;
use super::quotas::Account;
use super::rate_limited::Limit;
use super::shared::SharedLimit;

/// A limit of tokens a minute.
pub(super) enum Tokens {
    /// Counted in this process.
    Local(Bucket),
    /// Counted for all replicas.
    Shared(SharedLimit),
}

impl Tokens {
    pub(super) fn full(limit: NonZeroU64, account: &Account, now: u64) -> Self {
        let shared = account.shared(Limit::Tokens, limit.get());
        shared.map_or_else(|| Self::Local(Bucket::full(limit, now)), Self::Shared)
    }

    /// The same limit with another number: what is used up stays used up.
    pub(super) fn with_limit(&self, limit: NonZeroU64) -> Self {
        match self {
            Self::Local(bucket) => Self::Local(bucket.with_limit(limit)),
            Self::Shared(shared) => Self::Shared(shared.with_limit(limit.get())),
        }
    }

    pub(super) fn is_full(&self, now: u64) -> bool {
        match self {
            Self::Local(bucket) => bucket.is_full(now),
            Self::Shared(shared) => shared.is_as_new(now),
        }
    }

    pub(super) fn quota(&self, now: u64) -> Quota {
        match self {
            Self::Local(bucket) => bucket.quota(now),
            Self::Shared(shared) => shared.quota(now),
        }
    }
}
