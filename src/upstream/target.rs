//! A target: an upstream, a credential, and the name a model has there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, HeaderName};
use url::Position;

use super::credential::UpstreamCredential;
use super::failure::Failure;
use super::request::UpstreamRequest;
use super::response::{ResponseFacts, UpstreamResponse};
use crate::config::{ANY_MODEL, AskUsage, ModelConfig, Timeouts, UpstreamConfig};
use crate::http::client::{Client, Endpoint, Request, TlsError};
use crate::http::codec::write_header;
use crate::wire::request::{ForwardedBody, RequestedUsage};

/// Headers of the client's that go on to the upstream: tracing context (W3C), nothing that identifies or authorises.
const FORWARDED: [HeaderName; 2] = [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// One place where a model is served.
pub struct Target {
    /// See [`Target::name`].
    name: Arc<str>,
    model: Option<String>,
    credential: UpstreamCredential,
    timeouts: Timeouts,
    ask_usage: RequestedUsage,
    /// It has refused `stream_options` once.
    knows_no_usage: AtomicBool,
    client: Client,
    models_url: String,
}

impl Target {
    /// Prepares everything that does not change from request to request.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities to trust can't be read.
    pub fn new(config: &UpstreamConfig, name: Arc<str>) -> Result<Arc<Self>, TlsError> {
        let url = &config.base_url;
        let endpoint = Endpoint::new(url, config.ca_file.as_deref())?;
        let path = url.path().trim_end_matches('/');
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        Ok(Arc::new(Self {
            name,
            model: config.model.clone(),
            credential: UpstreamCredential::new(path, authority, config.api_key.clone()),
            timeouts: config.timeouts,
            ask_usage: match config.usage {
                AskUsage::Ask => RequestedUsage::Final,
                AskUsage::Running => RequestedUsage::Continuous,
                AskUsage::Never => RequestedUsage::None,
            },
            knows_no_usage: AtomicBool::new(false),
            client: Client::new(endpoint, config.timeouts.connect),
            models_url: format!("{}/models", url.as_str().trim_end_matches('/')),
        }))
    }

    /// Posts a chat completion and waits for the head of the response.
    ///
    /// # Errors
    /// [`Failure`], but never [`Failure::Refused`]: any status is a response here.
    pub async fn send(&self, request: &UpstreamRequest<'_>) -> Result<UpstreamResponse, Failure> {
        let response = self.client.send(|| self.encode(request), ResponseFacts::read).await?;
        Ok(response.into())
    }

    /// A request as it goes over the wire.
    fn encode(&self, request: &UpstreamRequest<'_>) -> Request {
        let encoded = Request::new(|head| self.write_head(request, head));
        match &request.body {
            ForwardedBody::Whole(body) => encoded.body(body),
            ForwardedBody::Segments(segments) => encoded.body_pieces(segments),
        }
    }

    fn write_head(&self, request: &UpstreamRequest<'_>, out: &mut BytesMut) {
        self.credential.write_head(request.stream, out);
        for name in &FORWARDED {
            if let Some(value) = request.client.get(name) {
                write_header(out, name.as_str(), value.as_bytes());
            }
        }
        write_header(out, CONTENT_LENGTH.as_str(), itoa::Buffer::new().format(request.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// What it is called in logs, metrics and records, where no other target of its route is called so: `host:port/path#model`,
    /// with the model that it is asked for. That is left out where each client names one (`*`): there would be no end of names.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What the model is called there, if not as the client calls it.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Its deadlines.
    #[must_use]
    pub const fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// What usage is asked of it for streams whose client did not ask.
    #[must_use]
    pub fn ask_usage(&self) -> RequestedUsage {
        if self.knows_no_usage.load(Ordering::Relaxed) { RequestedUsage::None } else { self.ask_usage }
    }

    /// It does not know how: remembered while the process lives.
    pub fn never_ask_usage(&self) {
        self.knows_no_usage.store(true, Ordering::Relaxed);
    }

    /// `text` without this target's key in it, or the one before it: upstreams like to quote the key they refuse.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.credential.mask(text)
    }

    /// What it is shown to let us in.
    #[must_use]
    pub const fn credential(&self) -> &UpstreamCredential {
        &self.credential
    }

    /// Closes idle connections that have outlived their use.
    pub async fn sweep(&self) {
        self.client.sweep().await;
    }

    /// Idle connections that are kept.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.client.idle_connections()
    }

    pub(super) const fn tls_config(&self) -> &Arc<rustls::ClientConfig> {
        self.client.endpoint().tls_config()
    }

    pub(super) fn models_url(&self) -> &str {
        &self.models_url
    }
}

/// The names of a model's targets: see [`Target::name`]. What can't be told apart is numbered.
pub(super) fn names(model: &ModelConfig) -> Vec<Arc<str>> {
    let route = (model.name != ANY_MODEL).then_some(&model.name);
    let mut names = Vec::<Arc<str>>::new();
    for upstream in &model.upstreams {
        let url = &upstream.base_url;
        let mut name = url[Position::BeforeHost..Position::AfterPort].to_owned() + url.path().trim_end_matches('/');
        if let Some(model) = upstream.model.as_ref().or(route) {
            name.push('#');
            // Names stand in lists with blanks between them.
            name.extend(model.chars().map(|c| if c.is_whitespace() { '_' } else { c }));
        }
        let (alone, mut count) = (name.clone(), 1);
        while names.iter().any(|other| **other == *name) {
            count += 1;
            name = format!("{alone}({count})");
        }
        names.push(name.into());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_one_model_are_told_apart() {
        let upstream = |url: &str, model: Option<&str>| UpstreamConfig {
            model: model.map(str::to_owned),
            ..UpstreamConfig::new(url.parse().unwrap())
        };
        let named = |name: &str, upstreams: &[(&str, Option<&str>)]| {
            let upstreams = upstreams.iter().map(|(url, model)| upstream(url, *model)).collect();
            names(&ModelConfig::new(name.into(), upstreams))
        };
        let one = "https://h/v1";
        let all = [(one, None), (one, Some("b:8b")), (one, Some("b:8b")), (one, Some("b 8b")), ("http://h:8/", None)];
        let expected = ["h/v1#m", "h/v1#b:8b", "h/v1#b:8b(2)", "h/v1#b_8b", "h:8#m"].map(Arc::<str>::from);
        assert_eq!(named("m", &all), expected);
        let any = [(one, None), (one, Some("b")), (one, None)];
        assert_eq!(named("*", &any), ["h/v1", "h/v1#b", "h/v1(2)"].map(Arc::<str>::from));
    }
}
