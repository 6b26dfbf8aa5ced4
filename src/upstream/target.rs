//! A target: an upstream, a credential, and the name a model has there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderName};
use url::Position;

use super::answer::Answer;
use super::connector::{self, Dialer};
use super::credential::{UpstreamCredential, push_field};
use super::failure::Failure;
use super::pool::Pool;
use super::tls::{self, TlsError};
use crate::config::{ANY_MODEL, AskUsage, ModelConfig, Timeouts, UpstreamConfig};
use crate::wire::request::{Forwarded, UsageAsk};

/// Headers of the client's that go on to the upstream: tracing context (W3C), nothing that identifies or authorises.
const FORWARDED: [HeaderName; 2] = [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// One place where a model is served.
pub struct Target {
    /// See [`Target::name`].
    name: Arc<str>,
    model: Option<String>,
    credential: UpstreamCredential,
    timeouts: Timeouts,
    ask_usage: UsageAsk,
    /// It has refused `stream_options` once.
    knows_no_usage: AtomicBool,
    dialer: Dialer,
    models_url: String,
    tls_config: Arc<rustls::ClientConfig>,
    pool: Pool,
}

/// What to ask of a target.
pub struct Ask<'a> {
    /// The request's body.
    pub body: Forwarded<'a>,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// The client's headers, of which a few are forwarded.
    pub client: &'a HeaderMap,
}

impl Target {
    /// Prepares everything that does not change from request to request.
    ///
    /// # Errors
    /// [`TlsError`] when the authorities to trust can't be read.
    pub fn new(config: &UpstreamConfig, name: Arc<str>) -> Result<Arc<Self>, TlsError> {
        let url = &config.base_url;
        let host = url.host().map_or_else(|| url::Host::Domain(String::new()), |host| host.to_owned());
        let secure = url.scheme() == "https";
        let tls_config = if secure { tls::client_config(config.ca_file.as_deref())? } else { tls::untrusting()? };
        let tls = if secure { Some(connector::tls(&tls_config, &host)?) } else { None };
        let path = url.path().trim_end_matches('/');
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        Ok(Arc::new(Self {
            name,
            model: config.model.clone(),
            credential: UpstreamCredential::new(path, authority, config.api_key.clone()),
            timeouts: config.timeouts,
            ask_usage: match config.usage {
                AskUsage::Ask => UsageAsk::Final,
                AskUsage::Running => UsageAsk::Running,
                AskUsage::Never => UsageAsk::Nothing,
            },
            knows_no_usage: AtomicBool::new(false),
            dialer: Dialer {
                port: url.port_or_known_default().unwrap_or(80),
                connect: config.timeouts.connect,
                host,
                tls,
            },
            models_url: format!("{}/models", url.as_str().trim_end_matches('/')),
            tls_config,
            pool: Pool::default(),
        }))
    }

    /// Posts a chat completion and waits for the head of the answer.
    ///
    /// # Errors
    /// [`Failure`], but for [`Failure::Refused`]: any status is an answer here.
    pub async fn send(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Answer, Failure> {
        super::exchange::exchange(self, ask).await
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
    pub fn ask_usage(&self) -> UsageAsk {
        if self.knows_no_usage.load(Ordering::Relaxed) { UsageAsk::Nothing } else { self.ask_usage }
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
        self.pool.sweep().await;
    }

    /// Idle connections that are kept.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    pub(super) const fn tls_config(&self) -> &Arc<rustls::ClientConfig> {
        &self.tls_config
    }

    pub(super) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub(super) fn models_url(&self) -> &str {
        &self.models_url
    }

    /// Writes the head of a request.
    pub(super) fn write_head(&self, ask: &Ask<'_>, out: &mut BytesMut) {
        self.credential.write_head(ask.stream, out);
        for name in &FORWARDED {
            if let Some(value) = ask.client.get(name) {
                push_field(out, name, value.as_bytes());
            }
        }
        push_field(out, &CONTENT_LENGTH, itoa::Buffer::new().format(ask.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
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
