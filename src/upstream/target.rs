//! A target: an upstream, its credential, and the name of the model there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::credential::UpstreamCredential;
use super::failure::Failure;
use super::request::UpstreamRequest;
use super::response::{ResponseFacts, UpstreamResponse};
use crate::config::{ANY_MODEL, AskUsage, ModelConfig, Secret, Timeouts, UpstreamConfig};
use crate::http::client::{Client, Endpoint, Request, TlsError};
use crate::http::codec::write_header;
use crate::wire::request::{ForwardedBody, RequestedUsage};

/// The version of Anthropic's API, which every request of it has.
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The version for clients that send none: the only one since 2023.
const DEFAULT_ANTHROPIC_VERSION: &[u8] = b"2023-06-01";
/// Features of Anthropic's API that are not general yet.
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Headers of the client that are forwarded: the trace context (W3C), and nothing that identifies or authorizes the
/// client.
const FORWARDED_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// One upstream that serves a model.
pub struct Target {
    name: Arc<str>,
    model: Option<String>,
    credential: UpstreamCredential,
    timeouts: Timeouts,
    requested_usage: RequestedUsage,
    /// The upstream has refused `stream_options`.
    usage_unsupported: AtomicBool,
    client: Client,
    models_url: String,
    /// What it was made of.
    config: UpstreamConfig,
    /// Hash of the content of `ca_file`.
    authorities: Option<[u8; 32]>,
}

impl Target {
    /// Prepares everything that is the same for all requests.
    ///
    /// # Errors
    /// [`TlsError`] if the certificate authorities can't be read.
    pub fn new(config: &UpstreamConfig, name: Arc<str>) -> Result<Arc<Self>, TlsError> {
        let endpoint = match config.base_url.socket() {
            Some(socket) => Endpoint::unix(socket)?,
            None => Endpoint::new(config.base_url.url(), config.ca_file.as_deref())?,
        };
        Ok(Self::with_client(config, name, Client::new(endpoint, config.timeouts.connect)))
    }

    /// The target after a change of its settings: `previous` itself if there is none, otherwise another one, which has
    /// the connections of `previous` if the endpoint is the same.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub(super) fn following(previous: &Arc<Self>, config: &UpstreamConfig) -> Result<Arc<Self>, TlsError> {
        let before = &previous.config;
        let same_endpoint = before.base_url == config.base_url
            && before.ca_file == config.ca_file
            && previous.authorities == authorities(config);
        if !same_endpoint {
            return Self::new(config, Arc::clone(&previous.name));
        }
        let file = |config: &UpstreamConfig| config.api_key.as_ref().and_then(Secret::file).cloned();
        if previous.has_identity(config)
            && file(before) == file(config)
            && (before.timeouts, before.usage) == (config.timeouts, config.usage)
        {
            return Ok(Arc::clone(previous));
        }
        let client = previous.client.with_connect_timeout(config.timeouts.connect);
        Ok(Self::with_client(config, Arc::clone(&previous.name), client))
    }

    /// Whether `config` is for the same model of the same account: its health does not depend on other settings.
    pub(super) fn has_identity(&self, config: &UpstreamConfig) -> bool {
        self.config.base_url == config.base_url
            && self.model == config.model
            && self.credential.is(config.api_key.as_ref(), config.api_key_header)
    }

    fn with_client(config: &UpstreamConfig, name: Arc<str>, client: Client) -> Arc<Self> {
        Arc::new(Self {
            name,
            model: config.model.clone(),
            credential: UpstreamCredential::new(&config.base_url, config.api_key.clone(), config.api_key_header),
            timeouts: config.timeouts,
            requested_usage: match config.usage {
                AskUsage::Ask => RequestedUsage::Final,
                AskUsage::Running => RequestedUsage::Continuous,
                AskUsage::Never => RequestedUsage::None,
            },
            usage_unsupported: AtomicBool::new(false),
            client,
            models_url: config.base_url.resource("models"),
            authorities: authorities(config),
            config: config.clone(),
        })
    }

    /// Posts a request and waits for the head of the response.
    ///
    /// # Errors
    /// [`Failure`], but never [`Failure::Refused`]: a response of any status is returned.
    pub async fn send(&self, request: &UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        let response = self.client.send(|| self.encode(request), ResponseFacts::read).await?;
        Ok(response.into())
    }

    /// Encodes a request.
    fn encode(&self, request: &UpstreamRequest<'_>) -> Request {
        let encoded = Request::new(|head| self.write_head(request, head));
        match &request.body {
            ForwardedBody::Whole(body) => encoded.body(body),
            ForwardedBody::Segments(segments) => encoded.body_pieces(segments),
        }
    }

    fn write_head(&self, request: &UpstreamRequest<'_>, out: &mut BytesMut) {
        self.credential.write_head(request.resource, request.stream, out);
        for name in &FORWARDED_HEADERS {
            if let Some(value) = request.client.get(name) {
                write_header(out, name.as_str(), value.as_bytes());
            }
        }
        if request.resource.is_of_messages() {
            write_messages_headers(request.client, out);
        }
        write_header(out, CONTENT_LENGTH.as_str(), itoa::Buffer::new().format(request.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// The name in logs, metrics and usage records, unique within its route: `host:port/path#model`, where `model` is
    /// the name that is sent to the upstream. It is left out for the route `*`, where clients choose it: the number of
    /// names would be unbounded.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The upstream's name of the model, if it differs from the client's.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The timeouts of its requests.
    #[must_use]
    pub const fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The usage reports to request for streams if the client did not request them.
    #[must_use]
    pub fn requested_usage(&self) -> RequestedUsage {
        if self.usage_unsupported.load(Ordering::Relaxed) { RequestedUsage::None } else { self.requested_usage }
    }

    /// Stops requesting usage reports, which the upstream does not support, until the process ends.
    pub fn set_usage_unsupported(&self) {
        self.usage_unsupported.store(true, Ordering::Relaxed);
    }

    /// `text` with the current and the previous key of this target, and the query of its URL, replaced by `***`:
    /// upstreams often quote a key that they refuse, or a path that they do not have.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.credential.mask(text)
    }

    /// The credential.
    #[must_use]
    pub const fn credential(&self) -> &UpstreamCredential {
        &self.credential
    }

    /// Closes connections that were idle for too long.
    pub async fn sweep(&self) {
        self.client.sweep().await;
    }

    /// The number of idle connections in the pool.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.client.idle_connections()
    }

    pub(super) const fn tls_config(&self) -> &Arc<rustls::ClientConfig> {
        self.client.endpoint().tls_config()
    }

    pub(super) fn socket(&self) -> Option<&Path> {
        self.client.endpoint().socket()
    }

    pub(super) fn models_url(&self) -> &str {
        &self.models_url
    }
}

/// Hash of the content of `ca_file`; none if there is no such setting, or it can't be read.
fn authorities(config: &UpstreamConfig) -> Option<[u8; 32]> {
    let pem = std::fs::read(config.ca_file.as_ref()?).ok()?;
    Some(Sha256::digest(pem).into())
}

/// The names of a model's targets: see [`Target::name`]. Equal names are numbered.
pub(super) fn target_names(model: &ModelConfig) -> Vec<Arc<str>> {
    let route = (model.name != ANY_MODEL).then_some(&model.name);
    let mut names = Vec::<Arc<str>>::new();
    for upstream in &model.upstreams {
        let mut name = without_blanks(&upstream.base_url.name());
        if let Some(model) = upstream.model.as_ref().or(route) {
            name.push('#');
            name.push_str(&without_blanks(model));
        }
        let (base, mut count) = (name.clone(), 1);
        while names.iter().any(|other| **other == *name) {
            count += 1;
            name = format!("{base}({count})");
        }
        names.push(name.into());
    }
    names
}

/// Names are written in lists that are separated by spaces.
fn without_blanks(name: &str) -> String {
    name.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect()
}

/// Writes the headers of a request of Anthropic's API: version and features as the client sent them.
fn write_messages_headers(client: &HeaderMap, out: &mut BytesMut) {
    let version = client.get(ANTHROPIC_VERSION).map_or(DEFAULT_ANTHROPIC_VERSION, HeaderValue::as_bytes);
    write_header(out, ANTHROPIC_VERSION.as_str(), version);
    for features in client.get_all(ANTHROPIC_BETA) {
        write_header(out, ANTHROPIC_BETA.as_str(), features.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_one_model_have_different_names() {
        let upstream = |url: &str, model: Option<&str>| UpstreamConfig {
            model: model.map(str::to_owned),
            ..UpstreamConfig::new(url.parse().unwrap())
        };
        let named = |name: &str, upstreams: &[(&str, Option<&str>)]| {
            let upstreams = upstreams.iter().map(|(url, model)| upstream(url, *model)).collect();
            target_names(&ModelConfig::new(name.into(), upstreams))
        };
        let one = "https://h/v1";
        let all = [(one, None), (one, Some("b:8b")), (one, Some("b:8b")), (one, Some("b 8b")), ("http://h:8/", None)];
        let expected = ["h/v1#m", "h/v1#b:8b", "h/v1#b:8b(2)", "h/v1#b_8b", "h:8#m"].map(Arc::<str>::from);
        assert_eq!(named("m", &all), expected);
        let any = [(one, None), (one, Some("b")), (one, None)];
        assert_eq!(named("*", &any), ["h/v1", "h/v1#b", "h/v1(2)"].map(Arc::<str>::from));
    }
}
