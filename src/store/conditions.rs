//! Conditions that several statements share.

use sqlx::{QueryBuilder, Sqlite};

/// Appends the condition that `column` is one of `wanted`; no condition if that is empty. Each value is bound once,
/// however often a client repeats it.
pub(super) fn push_names<T: Copy + PartialEq>(
    query: &mut QueryBuilder<Sqlite>,
    column: &str,
    all: &[T],
    wanted: &[T],
    name: fn(T) -> &'static str,
) {
    if wanted.is_empty() {
        return;
    }
    query.push(format_args!(" AND {column} IN ("));
    let mut list = query.separated(", ");
    for value in all.iter().filter(|value| wanted.contains(value)) {
        list.push_bind(name(*value));
    }
    query.push(")");
}
