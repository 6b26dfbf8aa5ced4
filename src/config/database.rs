//! The database: `database` in the file, `--database`, `PETSTREAM_DATABASE`.

use std::fmt;
use std::path::PathBuf;

use super::value::{name, whole};
use super::walk::{Section, Walk};
use super::yaml::Value;

/// Where the database is, and how many connections it gets.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// `sqlite:PATH`, `sqlite::memory:` or `postgres://…`. May hold a password: shown by `Display` without it.
    pub url: String,
    /// The URL of the same Postgres past a pooler such as PgBouncer, for migrations and notifications. If it is set,
    /// `url` is used as through a pooler in transaction mode.
    pub direct_url: Option<String>,
    /// Most connections to Postgres that read. Default 4, as SQLite has.
    pub read_connections: Option<u32>,
    /// Most connections to Postgres that write. Default 4. Commands run one after the other; usage records and sessions
    /// do not wait for them. SQLite has 1.
    pub write_connections: Option<u32>,
}

impl Database {
    /// The database at `url`, with the default numbers of connections.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), direct_url: None, read_connections: None, write_connections: None }
    }

    /// Whether it is on a server of Postgres.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        is_postgres(&self.url)
    }

    /// Whether it is in the memory of the server's process.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.url.starts_with("sqlite::memory:")
    }
}

impl Database {
    /// The file of an SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('?').next().filter(|path| !path.is_empty() && *path != ":memory:")?;
        Some(PathBuf::from(path))
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::at("sqlite:petstream.db")
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.url))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url", &without_password(&self.url))
            .field("direct_url", &self.direct_url.as_deref().map(without_password))
            .field("read_connections", &self.read_connections)
            .field("write_connections", &self.write_connections)
            .finish()
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The URL without user, password and parameters, any of which may be secret.
fn without_password(url: &str) -> String {
    if !is_postgres(url) {
        return url.to_owned();
    }
    let Ok(parsed) = url::Url::parse(url) else { return "postgres://…".to_owned() };
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("postgres://{}{port}{}", parsed.host_str().unwrap_or_default(), parsed.path())
}

/// Reads `database`: a URL, or a map.
pub(super) fn database(walk: &mut Walk, root: &mut Section) -> Option<Database> {
    let field = walk.take(root, "database")?;
    if !matches!(field.node.value, Value::Map(_)) {
        return walk.check(&field, parse_database);
    }
    let mut section = walk.section("database", Some(field));
    let url = walk.take(&mut section, "url");
    let direct = walk.take(&mut section, "direct_url");
    let read = walk.read(&mut section, "read_connections", whole(1, 1_000));
    let write = walk.read(&mut section, "write_connections", whole(1, 1_000));
    walk.finish(section);
    let database = url.and_then(|url| walk.check(&url, parse_database)).unwrap_or_default();
    let direct_url = direct.and_then(|field| walk.check(&field, postgres_url));
    Some(Database { direct_url, read_connections: read, write_connections: write, ..database })
}

/// Parses a database URL.
pub(super) fn parse_database(value: &Value) -> Result<Database, String> {
    let sqlite = |url: &str| url.strip_prefix("sqlite:").is_some_and(|path| !path.trim().is_empty());
    match value.as_text() {
        Some(url) if sqlite(url) => Ok(Database::at(url)),
        Some(url) if is_postgres(url) => postgres_url(value).map(|url| Database::at(&url)),
        _ => Err("sqlite:PATH, sqlite::memory: or postgres://USER:PASSWORD@HOST/DATABASE".to_owned()),
    }
}

fn postgres_url(value: &Value) -> Result<String, String> {
    let expected = || "postgres://USER:PASSWORD@HOST/DATABASE".to_owned();
    let url = name(4_096)(value).map_err(|_| expected())?;
    let parsed = url::Url::parse(&url).ok().filter(|_| is_postgres(&url));
    parsed.filter(url::Url::has_host).ok_or_else(expected)?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::walk::Field;
    use crate::config::yaml;

    fn read(text: &str) -> Result<Database, String> {
        let mut walk = Walk::new("f.yaml".into(), "/".into());
        let node = yaml::parse(text).map_err(|error| error.message)?;
        let mut root = walk.section("", Some(Field { path: String::new(), node }));
        let read = database(&mut walk, &mut root);
        let errors: Vec<_> = walk.errors.iter().map(ToString::to_string).collect();
        read.filter(|_| errors.is_empty()).ok_or_else(|| errors.join("\n"))
    }

    #[test]
    fn a_url_or_a_map_is_read_and_no_password_is_shown() {
        let database = read("database: postgres://u:geheim@db:6432/p?password=geheim").unwrap();
        assert_eq!(database.to_string(), "postgres://db:6432/p");
        assert!(!format!("{database:?}").contains("geheim"));
        let map =
            "database: {url: postgres://u:geheim@a/p, direct_url: postgresql://u:geheim@b/p, write_connections: 2}";
        let database = read(map).unwrap();
        assert_eq!((database.read_connections, database.write_connections), (None, Some(2)));
        assert!(database.direct_url.is_some() && !format!("{database:?}").contains("geheim"));
        assert_eq!(read("database: sqlite:p.db").unwrap(), Database::at("sqlite:p.db"));
    }

    #[test]
    fn errors_name_the_setting_and_show_no_password() {
        for (yaml, expected) in [
            ("database: {url: sqlite:p.db, read_connections: 0}", "database.read_connections: expected a whole number"),
            ("database: {url: postgres://u:geheim@h/p, direct_url: 'host=h password=geheim'}", "database.direct_url"),
            ("database: 'postgres://'", "database: expected postgres://USER:PASSWORD@HOST/DATABASE"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(expected) && !error.contains("geheim"), "{error}");
        }
    }
}
