//! Live events and the browsers that read them: the sections `events`, `cors` and `cookies`, and `public_path`.

use std::time::Duration;

use url::Url;

use super::duration::span;
use super::value::{flag, whole};
use super::walk::{Section, Walk};
use super::yaml::Value;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest `public_path`, bytes.
const MAX_PATH_LEN: usize = 200;

/// The streams of events under `/api/events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsConfig {
    /// How long an event can be replayed. Default 24 h, 1 min to 365 d.
    pub keep: Duration,
    /// How many events can be replayed at most. Default 100,000, 1 to 100,000,000.
    pub keep_count: u64,
    /// Time between two signs of life on a stream: a comment and a `heartbeat` event. Default 15 s, 1 s to 5 min.
    pub heartbeat: Duration,
    /// How long an `EventSource` waits before it comes back to a stream that broke. Default 3 s, 100 ms to 5 min.
    pub retry: Duration,
    /// Streams and long polls at once. Default 15,000, 1 to 1,000,000. Further ones are told to come back later.
    pub subscribers: usize,
    /// Those of one key. Default three quarters of `subscribers`: one key may stand for all visitors of a shop. 1 to
    /// 1,000,000.
    pub subscribers_per_key: Option<usize>,
    /// The time over which streams end when the server stops, and over which their clients then come back. Default 5 s,
    /// 0 s to 5 min; longer than `drain` it is cut short.
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
    /// How many subscribers one key may have.
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

/// Whose pages may read answers from another origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowOrigins {
    /// Everybody's, without cookies.
    Any,
    /// These, each as browsers write it: `https://shop.example`. Default: none.
    These(Vec<String>),
}

impl Default for AllowOrigins {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl AllowOrigins {
    /// Whether pages of `origin` are allowed.
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
        keep: walk.read(s, "keep", span(MINUTE, YEAR)).unwrap_or(default.keep),
        keep_count: walk.read(s, "keep_count", whole(1, 100_000_000)).unwrap_or(default.keep_count),
        heartbeat: walk.read(s, "heartbeat", span(SECOND, 5 * MINUTE)).unwrap_or(default.heartbeat),
        retry: walk.read(s, "retry", span(SECOND / 10, 5 * MINUTE)).unwrap_or(default.retry),
        subscribers: walk.read(s, "subscribers", whole(1, 1_000_000)).unwrap_or(default.subscribers),
        subscribers_per_key: walk.read(s, "subscribers_per_key", whole(1, 1_000_000)),
        shutdown_window: walk
            .read(s, "shutdown_window", span(Duration::ZERO, 5 * MINUTE))
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

/// Reads `cookies`: whether they are for https only.
pub(super) fn cookies(walk: &mut Walk, root: &mut Section) -> bool {
    let field = walk.take(root, "cookies");
    let mut section = walk.section("cookies", field);
    let secure = walk.read(&mut section, "secure", flag);
    walk.finish(section);
    secure.unwrap_or(false)
}

/// An origin exactly as browsers send it, since it is compared letter by letter.
fn origin(value: &Value) -> Result<String, String> {
    let expected = "an origin such as https://shop.example or http://localhost:3000, or \"*\"";
    let text = value.as_text().ok_or(expected)?;
    let exact = |url: Url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    let plain = text == "*" || Url::parse(text).is_ok_and(exact);
    plain.then(|| text.to_owned()).ok_or_else(|| expected.to_owned())
}

/// A path that begins and ends with a slash, of characters that mean nothing in a URL, a header or a cookie.
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
    fn origins_are_written_as_browsers_write_them() {
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
