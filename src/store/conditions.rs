//! Conditions that several statements share.

use super::database::Query;

/// Appends the condition that `column` is one of `wanted`; no condition if that is empty. Each value is bound once,
/// however often a client repeats it.
pub(super) fn push_names<T: Copy + PartialEq>(
    query: &mut Query<'_>,
    column: &str,
    all: &[T],
    wanted: &[T],
    name: fn(T) -> &'static str,
) {
    if wanted.is_empty() {
        return;
    }
    query.push(format_args!(" AND {column} IN ("));
    for (number, value) in all.iter().filter(|value| wanted.contains(value)).enumerate() {
        query.push(if number == 0 { "" } else { ", " }).push_bind(name(*value));
    }
    query.push(")");
}
