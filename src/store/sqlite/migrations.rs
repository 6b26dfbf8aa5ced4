//! The migrations of the database, in the order in which they run.
//!
//! Each is a file of `migrations/`, named `<version>_<description>.sql` and embedded in the binary. A file that was
//! released never changes: the database keeps its checksum, and a start with another text is refused. sqlx's macro
//! `migrate!` would do the same, but it builds sqlx and SQLite a second time, for the compiler.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Builds the list of versions, descriptions and texts from the names of the files.
macro_rules! files {
    ($($version:literal $description:ident;)+) => {
        &[$(($version, stringify!($description), include_str!(concat!("migrations/", $version, "_", stringify!($description), ".sql")))),+]
    };
}

/// Version (decimal, with leading zeros), description, SQL.
const FILES: &[(&str, &str, &str)] = files! {
    "0001" pets;
    "0002" api_keys;
    "0003" usage;
    "0004" events;
    "0005" orders;
    "0006" event_sessions;
    "0007" usage_series;
    "0008" sealed_sessions;
    "0009" makers;
    "0010" answered_model;
    "0011" operation;
};

/// All migrations, for a run over an open database.
pub(in crate::store) fn migrator() -> Migrator {
    let migration = |&(version, description, sql): &(&str, &'static str, &'static str)| {
        // sqlx shows underscores as spaces; the table `_sqlx_migrations` of older databases has them so.
        let description = description.replace('_', " ");
        let version = version.bytes().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        Migration::new(version, Cow::Owned(description), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator { migrations: FILES.iter().map(migration).collect(), ..Migrator::DEFAULT }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_migration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite/migrations");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let listed = FILES.iter().map(|(version, description, _)| format!("{version}_{description}.sql"));
        assert_eq!(names.collect::<BTreeSet<_>>(), listed.collect());
    }

    #[test]
    fn versions_grow() {
        let versions: Vec<_> = migrator().iter().map(|migration| migration.version).collect();
        assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    }
}
