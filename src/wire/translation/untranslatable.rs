//! Members that have no counterpart in the other API.

use std::fmt::{Debug, Display};

use crate::wire::request::{InvalidRequest, NamedMembers, Path, each_member, quoted};

/// Fails for the first member of a body that is set and not `supported`.
pub(in crate::wire) fn refuse_untranslatable(
    members: &NamedMembers<'_>,
    supported: &[&str],
) -> Result<(), InvalidRequest> {
    members.beyond(supported).map_or(Ok(()), |name| Err(InvalidRequest::untranslatable(name)))
}

/// Fails for the first member of the object at `path` that is set and not `supported`.
pub(in crate::wire) fn refuse_others(
    path: impl Display + Debug + Copy,
    value: &str,
    supported: &[&str],
) -> Result<(), InvalidRequest> {
    each_member(path, value, |key, value| {
        if value == "null" || supported.contains(&&*key) {
            return Ok(());
        }
        Err(InvalidRequest::untranslatable(Path::member(&path, &quoted(&key))))
    })
    .map(drop)
}
