//! The section `redis`: the Redis that replicas share, in the file, in `PETSTREAM_REDIS` or as `--redis`.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::error::{ConfigError, Origin};
use super::secret::Secret;
use super::value::{choice, name};
use super::walk::{Section, Walk};
use super::yaml::Value;

const DEFAULT_PORT: u16 = 6379;
/// What an error says instead of the text, which may hold a password.
const EXPECTED: &str = "redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT/DATABASE";

/// Longest prefix of keys, bytes.
const MAX_PREFIX_LEN: usize = 64;
const ON_FAILURE: &[(&str, OnFailure)] =
    &[("share", OnFailure::Share), ("refuse", OnFailure::Refuse), ("allow", OnFailure::Allow)];

/// The Redis that replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Where it is, and how to sign in.
    pub url: RedisUrl,
    /// What the names of all keys and channels begin with, before a colon: installations with different prefixes can
    /// use one Redis. Default `petstream`; 1 to 64 letters, digits, `-`, `_`, `.`, `{` and `}`.
    pub prefix: String,
    /// Rate limits while Redis does not answer. Default [`OnFailure::Share`].
    pub on_failure: OnFailure,
}

impl RedisConfig {
    /// The defaults, with this address.
    #[must_use]
    pub fn new(url: RedisUrl) -> Self {
        Self { url, prefix: "petstream".to_owned(), on_failure: OnFailure::default() }
    }
}

/// What becomes of rate limits while Redis does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Each replica admits its share: the limit divided by the number of replicas that were last known to run.
    #[default]
    Share,
    /// Requests under a limit are refused.
    Refuse,
    /// Each replica applies the whole limit by itself.
    Allow,
}

/// `redis://` or `rediss://` (TLS), with host, port and database, and the user and password to sign in with. `Debug` and
/// `Display` show host and port only.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    host: String,
    port: u16,
    tls: bool,
    database: u32,
    username: Option<String>,
    password: Option<Secret>,
}

impl RedisUrl {
    /// A name, or an address (IPv6 without brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. Default 6379.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// The number of the database. Default 0.
    #[must_use]
    pub const fn database(&self) -> u32 {
        self.database
    }

    /// The user; none: Redis' default user.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password; none: no authentication.
    #[must_use]
    pub const fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }
}

impl FromStr for RedisUrl {
    /// What was expected; it has no part of the text.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| EXPECTED)?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(EXPECTED),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(EXPECTED),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a URL of Redis without ? and #");
        }
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => {
                number.parse().map_err(|_| "a URL of Redis whose path is the number of a database, such as /0")?
            }
        };
        let username = Some(url.username()).filter(|name| !name.is_empty()).map(decoded).transpose()?;
        let password = url.password().map(decoded).transpose()?.map(Secret::new);
        if username.is_some() && password.is_none() {
            return Err("a URL of Redis with a password behind the user; redis://:PASSWORD@HOST has no user");
        }
        Ok(Self { host, port: url.port().unwrap_or(DEFAULT_PORT), tls, database, username, password })
    }
}

/// Decodes `%40` and the like.
fn decoded(text: &str) -> Result<String, &'static str> {
    let decoded =
        percent_decode_str(text).decode_utf8().map_err(|_| "a URL of Redis whose user and password are UTF-8")?;
    Ok(decoded.into_owned())
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// The section of the file. Its other settings apply also to an address of the environment or the command line.
#[derive(Default)]
pub(super) struct RedisSection {
    url: Option<RedisUrl>,
    prefix: Option<String>,
    on_failure: OnFailure,
}

/// Reads `redis`.
pub(super) fn redis(walk: &mut Walk, root: &mut Section) -> RedisSection {
    let field = walk.take(root, "redis");
    let mut section = walk.section("redis", field);
    let written = walk.take(&mut section, "url").filter(|field| !matches!(field.node.value, Value::Invalid));
    let url = written.and_then(|field| {
        let parsed = field.node.value.as_text().ok_or(EXPECTED).and_then(str::parse);
        parsed.map_err(|expected| walk.error(&field.path, field.node.line, problem(expected))).ok()
    });
    let settings = RedisSection {
        url,
        prefix: walk.read(&mut section, "prefix", prefix),
        on_failure: walk.read(&mut section, "on_failure", choice(ON_FAILURE)).unwrap_or_default(),
    };
    walk.finish(section);
    settings
}

impl RedisSection {
    /// The settings, with the address of the variable or the flag in place of the file's; none: there is no Redis.
    pub(super) fn with(
        self,
        variable: Option<&str>,
        flag: Option<&str>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<RedisConfig> {
        let mut url = self.url;
        let sources = [("PETSTREAM_REDIS", variable, Origin::Environment), ("--redis", flag, Origin::CommandLine)];
        for (path, text, origin) in sources {
            match text.map(str::parse) {
                None => {}
                Some(Ok(parsed)) => url = Some(parsed),
                Some(Err(expected)) => {
                    errors.push(ConfigError { path: path.to_owned(), problem: problem(expected), origin });
                }
            }
        }
        let default = RedisConfig::new(url?);
        Some(RedisConfig {
            prefix: self.prefix.unwrap_or(default.prefix),
            on_failure: self.on_failure,
            url: default.url,
        })
    }
}

/// An error of the address, which may hold a password and is not shown.
fn problem(expected: &str) -> String {
    format!("expected {expected}; found something else, which is not shown, as it may hold a password")
}

fn prefix(value: &Value) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '{' | '}');
    let prefix = name(MAX_PREFIX_LEN)(value).ok().filter(|prefix| prefix.chars().all(is_plain));
    prefix.ok_or_else(|| format!("1 to {MAX_PREFIX_LEN} letters, digits and characters of -_.{{}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_defaults() {
        for (text, shown, tls, database) in [
            ("redis://localhost", "localhost:6379", false, 0),
            ("redis://10.0.0.1:7000/3", "10.0.0.1:7000", false, 3),
            ("rediss://cache.example.com:6380/", "cache.example.com:6380", true, 0),
            ("redis://[::1]:6379", "[::1]:6379", false, 0),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!((&*url.to_string(), url.tls(), url.database()), (shown, tls, database), "{text}");
            assert_eq!((url.username(), url.password()), (None, None), "{text}");
        }
        assert_eq!("redis://[::1]".parse::<RedisUrl>().unwrap().host(), "::1");
    }

    #[test]
    fn user_and_password_are_decoded_and_never_shown() {
        let url: RedisUrl = "rediss://us%2Fer:very%40secret@h:1".parse().unwrap();
        assert_eq!((url.username(), url.password().unwrap().reveal()), (Some("us/er"), "very@secret"));
        assert_eq!(format!("{url} {url:?}"), "h:1 RedisUrl(h:1)");
        let config = RedisConfig::new("redis://:verysecret@h".parse().unwrap());
        assert_eq!(config.url.username(), None);
        assert!(!format!("{config:?}").contains("verysecret"));
    }

    #[test]
    fn the_flag_beats_the_variable_which_beats_the_file_whose_other_settings_hold() {
        let server = |variable, flag| {
            let section = RedisSection {
                url: Some("redis://file".parse().unwrap()),
                prefix: Some("shop".to_owned()),
                on_failure: OnFailure::Allow,
            };
            let mut errors = Vec::new();
            let config = section.with(variable, flag, &mut errors).unwrap();
            assert_eq!((&*config.prefix, config.on_failure), ("shop", OnFailure::Allow));
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert!(!errors.concat().contains("secret"), "{errors:?}");
            (config.url.to_string(), errors.len())
        };
        assert_eq!(server(None, None), ("file:6379".to_owned(), 0));
        assert_eq!(server(Some("redis://variable"), None), ("variable:6379".to_owned(), 0));
        assert_eq!(server(Some("redis://variable"), Some("redis://flag")), ("flag:6379".to_owned(), 0));
        assert_eq!(server(Some("secret"), Some("http://secret")), ("file:6379".to_owned(), 2));
        assert_eq!(RedisSection::default().with(None, None, &mut Vec::new()), None);
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for wrong in [
            "verysecret",
            "http://:verysecret@h",
            "redis://",
            "redis:///0",
            "redis://:verysecret@h/x",
            "redis://h/0?password=verysecret",
            "redis://verysecret@h",
            "redis://h#verysecret",
            "redis://:%ff@h",
        ] {
            let error = wrong.parse::<RedisUrl>().unwrap_err();
            assert!(!error.contains("verysecret"), "{wrong}: {error}");
        }
    }
}
