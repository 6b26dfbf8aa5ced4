//! Live events and browsers: the sections `events`, `cors` and `cookies`, and `public_path`.

use std::time::Duration;

use url::Url;

use super::duration::duration_between;
use super::value::{flag, whole};
use super::walk::{Section, Walk};
use super::yaml::Value;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest `public_path`, bytes.
const MAX_PATH_LEN: usize = 200;

/// The event streams and polls of `/api/events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsConfig {
    /// How long an event can be replayed. Default 24 h, 1 min to 365 d.
    pub keep: Duration,
    /// Number of events that can be replayed. Default 100,000, 1 to 100,000,000.
    pub keep_count: u64,
    /// Interval between heartbeats on a stream: a comment and a `heartbeat` event. Default 15 s, 1 s to 5 min.
    pub heartbeat: Duration,
    /// Delay before an `EventSource` reconnects after a stream broke. Default 3 s, 100 ms to 5 min.
    pub retry: Duration,
    /// Streams and long polls at once. Default 15,000, 1 to 1,000,000. Further ones are refused with a `retry-after`.
    pub subscribers: usize,
    /// Share of one key in `subscribers`. Default three quarters, since one key may serve all visitors of a web site; 1
    /// to 1,000,000.
    pub subscribers_per_key: Option<usize>,
    /// The time over which streams end at a shutdown, and over which their clients then reconnect. Default 5 s, 0 s to
    /// 5 min; at most `drain` is used.
    pub shutdown_window: Duration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            keep: 24 * HOUR,
            keep_count: 100_000,
            heartbeat: 15 * SECOND,
            retry: 3 * SECOND,
            subscribers: 15_000,
            subscribers_per_key: None,
            shutdown_window: 5 * SECOND,
        }
    }
}

impl EventsConfig {
    /// Subscribers that one key may have.
    #[must_use]
    pub fn subscribers_of_a_key(&self) -> usize {
        self.subscribers_per_key.unwrap_or((self.subscribers * 3).div_ceil(4)).min(self.subscribers)
    }

    /// The same bounds, with the whole as the share of one key.
    #[must_use]
    pub(super) const fn undivided(self) -> Self {
        Self { subscribers_per_key: Some(self.subscribers), ..self }
    }
}

/// Origins whose pages may read answers (CORS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowOrigins {
    /// All origins, without cookies.
    Any,
    /// These, as browsers send them: `https://shop.example`. Default: none.
    These(Vec<String>),
}

impl Default for AllowOrigins {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl AllowOrigins {
    /// Whether `origin` is allowed.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(origins) => origins.iter().any(|allowed| allowed == origin),
        }
    }
}

/// Reads `events`.
pub(super) fn events(walk: &mut Walk, root: &mut Section) -> EventsConfig {
    let field = walk.take(root, "events");
    let mut section = walk.section("events", field);
    let default = EventsConfig::default();
    let s = &mut section;
    let events = EventsConfig {
        keep: walk.read(s, "keep", duration_between(MINUTE, YEAR)).unwrap_or(default.keep),
        keep_count: walk.read(s, "keep_count", whole(1, 100_000_000)).unwrap_or(default.keep_count),
        heartbeat: walk.read(s, "heartbeat", duration_between(SECOND, 5 * MINUTE)).unwrap_or(default.heartbeat),
        retry: walk.read(s, "retry", duration_between(SECOND / 10, 5 * MINUTE)).unwrap_or(default.retry),
        subscribers: walk.read(s, "subscribers", whole(1, 1_000_000)).unwrap_or(default.subscribers),
        subscribers_per_key: walk.read(s, "subscribers_per_key", whole(1, 1_000_000)),
        shutdown_window: walk
            .read(s, "shutdown_window", duration_between(Duration::ZERO, 5 * MINUTE))
            .unwrap_or(default.shutdown_window),
    };
    walk.finish(section);
    events
}

/// Reads `cors`.
pub(super) fn cors(walk: &mut Walk, root: &mut Section) -> AllowOrigins {
    let field = walk.take(root, "cors");
    let mut section = walk.section("cors", field);
    let fields = walk.list(&mut section, "allow_origins", "").unwrap_or_default();
    walk.finish(section);
    let origins: Vec<String> = fields.iter().filter_map(|field| walk.check(field, origin)).collect();
    if origins.iter().any(|origin| origin == "*") { AllowOrigins::Any } else { AllowOrigins::These(origins) }
}

/// Reads `cookies`; returns whether they are marked `Secure`, if that is set.
pub(super) fn cookies(walk: &mut Walk, root: &mut Section) -> Option<bool> {
    let field = walk.take(root, "cookies");
    let mut section = walk.section("cookies", field);
    let secure = walk.read(&mut section, "secure", flag);
    walk.finish(section);
    secure
}

/// Parses an origin, which must be written exactly as browsers send it, since it is compared as text.
fn origin(value: &Value) -> Result<String, String> {
    let expected = "an origin such as https://shop.example or http://localhost:3000, or \"*\"";
    let text = value.as_text().ok_or(expected)?;
    let exact = |url: Url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    let plain = text == "*" || Url::parse(text).is_ok_and(exact);
    plain.then(|| text.to_owned()).ok_or_else(|| expected.to_owned())
}

/// Parses a path that begins and ends with a slash, of characters that need no escaping in a URL, a header or a cookie.
pub(super) fn public_path(value: &Value) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    let fits = |path: &&str| {
        path.len() <= MAX_PATH_LEN
            && path.starts_with('/')
            && path.ends_with('/')
            && path.bytes().all(plain)
            && !path.contains("//")
            && !path.split('/').any(|part| matches!(part, "." | ".."))
    };
    let path = value.as_text().filter(fits).map(str::to_owned);
    path.ok_or_else(|| "a path such as / or /shop/, from slash to slash".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::yaml::Text;
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(Text { text: text.to_owned(), written: None })
    }

    #[test]
    fn origins_must_be_written_as_browsers_send_them() {
        for right in ["*", "https://shop.example", "http://localhost:3000", "http://[::1]:8080", "http://127.0.0.1"] {
            assert_eq!(origin(&text(right)).as_deref(), Ok(right));
        }
        for wrong in [
            "",
            "null",
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://shop.example:443",
            "file:///",
        ] {
            assert!(origin(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_path_needs_no_escaping_anywhere() {
        for right in ["/", "/shop/", "/a/b-c_d.e~f/"] {
            assert_eq!(public_path(&text(right)).as_deref(), Ok(right));
        }
        for wrong in ["", "shop", "/shop", "shop/", "//", "/a b/", "/a;b/", "/../", "/a/./", "/%2e/", "/a\n/"] {
            assert!(public_path(&text(wrong)).is_err(), "{wrong:?}");
        }
    }
}
