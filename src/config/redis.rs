//! The section `redis`: the Redis that replicas share, in the file, in `PETSTREAM_REDIS` or as `--redis`.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::secret::Secret;

const DEFAULT_PORT: u16 = 6379;
/// What an error says instead of the text, which may hold a password.
const EXPECTED: &str = "redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT/DATABASE";

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
