//! The values bound to the parameters of a statement.

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Encode, Postgres, Sqlite, Type};

use super::engine::Engine;

/// A value that both databases take: `i64`, text, an option of these.
pub(in crate::store) trait Bind:
    for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres>
{
}

impl Bind for i64 {}
impl Bind for Option<i64> {}
impl Bind for String {}
impl Bind for Option<String> {}
impl Bind for &'static str {}
impl Bind for Option<&'static str> {}

/// The values of one statement, in order, encoded for its database.
pub(in crate::store) enum Arguments {
    Sqlite(SqliteArguments),
    // Boxed: it is ten times as large.
    Postgres(Box<PgArguments>),
}

impl Arguments {
    pub(in crate::store) fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite(SqliteArguments::default()),
            Engine::Postgres => Self::Postgres(Box::default()),
        }
    }

    /// Reserves space for `count` values.
    pub(in crate::store) fn reserve(&mut self, count: usize) {
        match self {
            Self::Sqlite(values) => values.reserve(count, 0),
            Self::Postgres(values) => values.reserve(count, 0),
        }
    }

    pub(in crate::store) fn add<T: Bind>(&mut self, value: T) -> Result<(), BoxDynError> {
        match self {
            Self::Sqlite(values) => values.add(value),
            Self::Postgres(values) => values.add(value),
        }
    }

    /// Adds a text or NULL; see [`Self::add_text`].
    pub(in crate::store) fn add_optional_text(&mut self, text: Option<&str>) -> Result<(), BoxDynError> {
        match text {
            Some(text) => self.add_text(text),
            None => self.add(None::<String>),
        }
    }

    /// Adds a text. Postgres has no text with a NUL character; U+FFFD takes its place there.
    pub(in crate::store) fn add_text(&mut self, text: &str) -> Result<(), BoxDynError> {
        let text = match self {
            Self::Postgres(_) if text.contains('\0') => text.replace('\0', "\u{fffd}"),
            _ => text.to_owned(),
        };
        self.add(text)
    }
}
