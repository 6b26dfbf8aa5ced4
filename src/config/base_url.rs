//! The base URL of an upstream.

use std::fmt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::{Host, Position, Url};

/// What the URL of a unix socket begins with.
const UNIX: &str = "unix:";
/// The path over a unix socket where none is written: that of every server that speaks OpenAI's API.
const DEFAULT_PATH: &str = "/v1";
/// Words in the names of query parameters whose values are secrets.
const SECRET_NAMES: [&str; 5] = ["key", "token", "secret", "sig", "password"];

/// Shortest secret; shorter texts occur anywhere.
const MIN_SECRET_LEN: usize = 4;

/// `http` or `https`, up to and including `/v1`, or `unix:/PATH/OF/SOCKET:/v1` for HTTP over a unix socket; the path of a
/// request is appended, and a query is kept. It has neither user nor fragment. `Debug` and `Display` leave out the query, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `http://localhost` for a unix socket.
    url: Url,
    socket: Option<PathBuf>,
}

impl BaseUrl {
    /// Scheme, host, port and path; for a unix socket with the host `localhost`, which is what the server sees.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The path of the unix socket to connect to, in place of host and port.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Whether the server is on this machine: a loopback address, the name `localhost`, or a unix socket.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
    }

    /// Host and port as in the header `host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// The name of the server in logs and metrics: `host:port/path`, or `unix:/PATH/OF/SOCKET:/path`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.socket {
            Some(socket) if self.path().is_empty() => format!("{UNIX}{}:/", socket.display()),
            Some(socket) => format!("{UNIX}{}:{}", socket.display(), self.path()),
            None => self.authority().to_owned() + self.path(),
        }
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

    /// The URL of `text`, which begins behind `unix:`.
    fn unix(text: &str) -> Result<Self, &'static str> {
        let (socket, path) = text.split_once(':').unwrap_or((text, DEFAULT_PATH));
        // The length of a socket's path is limited, to 107 bytes on Linux.
        let is_valid = socket.starts_with('/') && SocketAddr::from_pathname(socket).is_ok();
        if !is_valid || !path.starts_with('/') {
            return Err("unix:PATH or unix:PATH:/v1, PATH being the absolute path of a socket, of at most 107 bytes \
                        (103 on some systems) and without a colon");
        }
        let Self { url, .. } = format!("http://localhost{path}").parse()?;
        Ok(Self { url, socket: Some(socket.into()) })
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
        if let Some(text) = text.strip_prefix(UNIX) {
            return Self::unix(text);
        }
        if text.starts_with("http://unix:") {
            return Err("unix:PATH:/v1 for a unix socket, without http://");
        }
        let url = Url::parse(text).map_err(|_| "a URL such as https://api.openai.com/v1")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("a URL that begins with http://, https:// or unix:/");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL without user and password; use api_key");
        }
        if url.fragment().is_some() {
            return Err("a URL without #");
        }
        Ok(Self { url, socket: None })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(_) => f.write_str(&self.name()),
            None => f.write_str(&self.url[..Position::AfterPath]),
        }
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
    fn a_unix_socket_has_a_path_of_its_own() {
        for (base, socket, target, name) in [
            ("unix:/run/vllm.sock", "/run/vllm.sock", "/v1/models", "unix:/run/vllm.sock:/v1"),
            ("unix:/run/a b.sock:/", "/run/a b.sock", "/models", "unix:/run/a b.sock:/"),
            ("unix:/s:/openai/v1/?code=secret", "/s", "/openai/v1/models?code=secret", "unix:/s:/openai/v1"),
        ] {
            let url: BaseUrl = base.parse().unwrap();
            assert_eq!(url.socket(), Some(Path::new(socket)));
            assert_eq!((&*url.request_target("models"), &*url.name(), url.authority()), (target, name, "localhost"));
            assert_eq!(url.resource("models"), format!("http://localhost{target}"));
            assert_eq!((url.to_string(), format!("{url:?}")), (name.to_owned(), format!("BaseUrl({name})")));
        }
        let long = format!("unix:/{}", "x".repeat(108));
        for wrong in ["unix:", "unix:run/x.sock", "unix:/x.sock:v1", "unix:/x.sock:", "unix:/x:/v1#a", &*long] {
            assert!(wrong.parse::<BaseUrl>().is_err(), "{wrong}");
        }
        let nginx = "http://unix:/run/x.sock:/v1".parse::<BaseUrl>().unwrap_err();
        assert!(nginx.contains("without http://"), "{nginx}");
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
