//! Names of event logs.

use uuid::Uuid;

/// A name for a log that no other log has: 8 hexadecimal digits.
pub(super) fn random_epoch() -> String {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    format!("{:08x}", random >> 32)
}
