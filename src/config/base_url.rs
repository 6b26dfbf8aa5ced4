//! The base URL of an upstream.

use std::fmt;
use std::str::FromStr;

use url::{Position, Url};

/// Words in the names of query parameters whose values are secrets.
const SECRET_NAMES: [&str; 5] = ["key", "token", "secret", "sig", "password"];

/// Shortest secret; shorter texts occur anywhere.
const MIN_SECRET_LEN: usize = 4;

/// `http` or `https`, up to and including `/v1`; the path of a request is appended, and a query is kept. It has neither
/// user nor fragment. `Debug` and `Display` leave out the query, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
}

impl BaseUrl {
    /// The URL without its resources: scheme, host and port are the server's.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Host and port as in the header `host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The name of the server in logs and metrics: `host:port/path`.
    #[must_use]
    pub fn name(&self) -> String {
        self.authority().to_owned() + self.path()
    }

    /// The request target of `resource`, such as `models`: `/path/models?query`.
    #[must_use]
    pub fn request_target(&self, resource: &str) -> String {
        // Path and query of a URL are encoded already.
        let target = format!("{}/{resource}", self.path());
        match self.query() {
            Some(query) => target + "?" + query,
            None => target,
        }
    }

    /// The whole URL of `resource`, with the query.
    #[must_use]
    pub fn resource(&self, resource: &str) -> String {
        self.url[..Position::BeforePath].to_owned() + &self.request_target(resource)
    }

    /// What a server may quote and nobody else may see: the query as it is sent, and the values of parameters whose
    /// names say that they are secrets.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let is_secret = |name: &str| SECRET_NAMES.iter().any(|word| name.to_ascii_lowercase().contains(word));
        let values = self.url.query_pairs().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.into_owned());
        let query = self.query().map(str::to_owned);
        query.into_iter().chain(values).filter(|secret| secret.len() >= MIN_SECRET_LEN).collect()
    }

    fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    fn query(&self) -> Option<&str> {
        self.url.query().filter(|query| !query.is_empty())
    }
}

impl FromStr for BaseUrl {
    /// What was expected.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "a URL such as https://api.openai.com/v1")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("a URL that begins with http:// or https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL without user and password; use api_key");
        }
        if url.fragment().is_some() {
            return Err("a URL without #");
        }
        Ok(Self { url })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..Position::AfterPath])
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_appended_to_the_path_and_the_query_is_kept() {
        for (base, target, name) in [
            ("http://127.0.0.1:8080/v1", "/v1/models", "127.0.0.1:8080/v1"),
            ("http://127.0.0.1:8080/v1/", "/v1/models", "127.0.0.1:8080/v1"),
            ("https://h", "/models", "h"),
            ("https://h/v1?", "/v1/models", "h/v1"),
            (
                "https://h/a%20b/?api-version=2024-10-21&x=%C3%A9",
                "/a%20b/models?api-version=2024-10-21&x=%C3%A9",
                "h/a%20b",
            ),
            ("https://h?a b=ü", "/models?a%20b=%C3%BC", "h"),
        ] {
            let url: BaseUrl = base.parse().unwrap();
            assert_eq!((&*url.request_target("models"), &*url.name()), (target, name), "{base}");
            let origin = url.url().origin().ascii_serialization();
            assert_eq!(url.resource("models"), format!("{origin}{target}"), "{base}");
        }
    }

    #[test]
    fn a_query_is_not_shown_and_its_secrets_are_known() {
        let url: BaseUrl =
            "https://h/v1?api-version=1&api-key=very%2Fsecret&Sig=abc&ACCESS_TOKEN=0123".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://h/v1 BaseUrl(https://h/v1)");
        let query = "api-version=1&api-key=very%2Fsecret&Sig=abc&ACCESS_TOKEN=0123";
        assert_eq!(url.secrets(), [query, "very/secret", "0123"]);
        assert!("https://h/v1".parse::<BaseUrl>().unwrap().secrets().is_empty());
    }

    #[test]
    fn what_is_not_a_plain_url_is_refused() {
        for wrong in [
            "api.openai.com",
            "ftp://x/v1",
            "https://u:p@x/v1",
            "https://x/v1#a",
            "https://x/v1?a#b",
            "file:///etc",
            "",
        ] {
            assert!(wrong.parse::<BaseUrl>().is_err(), "{wrong}");
        }
    }
}
