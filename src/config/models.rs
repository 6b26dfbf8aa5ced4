//! The section `models`, and the upstream of `OPENAI_BASE_URL` and `OPENAI_API_KEY`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::base_url::BaseUrl;
use super::duration::timeout;
use super::environment::{Environment, variable};
use super::error::{ConfigError, Origin};
use super::failover::{Ejection, Retries, ejection, retries};
use super::secret::{self, Secret, SecretSetting};
use super::value::{self, base_url, choice, name, whole};
use super::walk::{Field, Section, Walk, join};
use super::yaml::{Text, Value};
use crate::wire::operation::{Operation, Operations};

/// Name of the built-in model; no upstream may take it.
pub const LOCAL_MODEL: &str = "petstore-ai";
/// The entry for every model without an entry of its own.
pub const ANY_MODEL: &str = "*";
/// Longest name of a model, characters.
pub(super) const MAX_MODEL_LEN: usize = 256;

/// The base URL if only `OPENAI_API_KEY` is set.
const OPENAI: &str = "https://api.openai.com/v1";

const NO_UPSTREAM: &str = "a model needs at least one upstream with a base_url";

/// A model and its upstreams.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The name that clients send; `*` is for every name without an entry of its own.
    pub name: String,
    /// The upstreams that serve it; at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// Further attempts after a failure.
    pub retries: Retries,
    /// When an upstream that keeps failing is ejected, and for how long.
    pub ejection: Ejection,
    /// Whether a conversation stays on one upstream. Default [`Affinity::Auto`].
    pub affinity: Affinity,
}

impl ModelConfig {
    /// The model `name`, served by `upstreams`, with defaults for everything else.
    #[must_use]
    pub fn new(name: String, upstreams: Vec<UpstreamConfig>) -> Self {
        let (retries, ejection) = (Retries::default(), Ejection::default());
        Self { name, upstreams, retries, ejection, affinity: Affinity::default() }
    }
}

/// How the upstream of a request is selected among those of a priority. Without effect where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// The requests of a conversation go to the same upstream, so that its prompt cache is used, while that one is
    /// healthy and has at most five quarters of its share of the requests in flight, and four more.
    #[default]
    Auto,
    /// Each request goes to the least loaded one.
    Off,
}

/// A server of a model.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// The server, and the path and query of its resources.
    pub base_url: BaseUrl,
    /// The key of the upstream; none: no such header.
    pub api_key: Option<Secret>,
    /// The header of the key. Default [`KeyHeader::default_for`] its operations.
    pub api_key_header: KeyHeader,
    /// The operations that it serves. Default: chat alone.
    pub apis: Operations,
    /// The name of the model at the upstream; none: the one that the client sent.
    pub model: Option<String>,
    /// PEM file of certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// Whether `stream_options.include_usage` is sent to the upstream. Default [`AskUsage::Ask`].
    pub usage: AskUsage,
    /// Its share of the requests among the upstreams of its priority. Default 1, 1 to 1,000.
    pub weight: NonZeroU32,
    /// Upstreams of a lower number are tried first, the others when those are ejected or have failed. Default 0, 0 to
    /// 100.
    pub priority: u32,
}

impl UpstreamConfig {
    /// The upstream at `base_url`, with defaults for everything else.
    #[must_use]
    pub fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            api_key: None,
            api_key_header: KeyHeader::default(),
            apis: Operations::default(),
            model: None,
            ca_file: None,
            timeouts: Timeouts::default(),
            usage: AskUsage::default(),
            weight: NonZeroU32::MIN,
            priority: 0,
        }
    }
}

/// The header with the key of an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer KEY`.
    #[default]
    Authorization,
    /// `api-key: KEY`, as Azure OpenAI requires.
    ApiKey,
    /// `x-api-key: KEY`, as Anthropic's API requires.
    XApiKey,
}

impl KeyHeader {
    /// The header of an upstream that serves these operations: [`KeyHeader::XApiKey`] for messages alone, which is
    /// Anthropic's API, otherwise [`KeyHeader::Authorization`].
    #[must_use]
    pub fn default_for(apis: Operations) -> Self {
        if apis == Operations::from_iter([Operation::Messages]) { Self::XApiKey } else { Self::Authorization }
    }
}

/// Whether usage is requested from the upstream for streams whose client did not request it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskUsage {
    /// Request it, and remove it from the client's stream.
    #[default]
    Ask,
    /// Forward `stream_options` unchanged.
    Never,
    /// As [`AskUsage::Ask`], and on every chunk too (`continuous_usage_stats`), for servers such as vLLM: streams that
    /// are cut then have exact counts.
    Running,
}

/// Timeouts of one upstream, each up to 24 h; none (`0s` in the file): no timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS, TCP and TLS together. Default 2 s.
    pub connect: Option<Duration>,
    /// From the last byte of the request to the first event; without a stream: to the head of the answer.
    pub first_token: FirstToken,
    /// Longest silence from the upstream, any byte counting. Default 60 s. Until the first token the larger of this and
    /// `first_token` holds.
    pub idle: Option<Duration>,
    /// The whole request. Default 30 min.
    pub total: Option<Duration>,
}

/// The timeout of the first event of a stream, or of the head of an answer that is not a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstToken {
    /// 90 s for a stream that another upstream can take over; 10 min otherwise, which is the timeout of OpenAI's SDKs:
    /// reasoning and local models can be silent for minutes, and the head of an answer that is not a stream comes when
    /// all of it is generated.
    #[default]
    Unset,
    /// The same for all; none: no timeout.
    Set(Option<Duration>),
}

impl FirstToken {
    /// The timeout; `another`: another upstream can take over.
    #[must_use]
    pub const fn limit(self, another: bool) -> Option<Duration> {
        match self {
            Self::Set(limit) => limit,
            Self::Unset if another => Some(Duration::from_secs(90)),
            Self::Unset => Some(Duration::from_secs(10 * 60)),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(2)),
            first_token: FirstToken::Unset,
            idle: Some(Duration::from_secs(60)),
            total: Some(Duration::from_secs(30 * 60)),
        }
    }
}

/// Reads `models`. With the local model, no other has its name.
pub(super) fn models(walk: &mut Walk, root: &mut Section, local_model: bool) -> Vec<ModelConfig> {
    let mut models: Vec<ModelConfig> = Vec::new();
    // Where each was read: errors show no name, which may be the value of a variable.
    let mut places: Vec<String> = Vec::new();
    for field in walk.list(root, "models", "").unwrap_or_default() {
        let (place, line) = (field.path.clone(), field.node.line);
        let path = join(&place, "name");
        let Some(model) = model(walk, field) else { continue };
        if local_model && model.name == LOCAL_MODEL {
            let problem =
                format!("{LOCAL_MODEL} is the built-in model; choose another name, or set local_model: false");
            walk.error(&path, line, problem);
        } else if let Some(other) = models.iter().position(|other| other.name == model.name) {
            walk.error(&path, line, format!("{} has the same name; put all upstreams there", places[other]));
        }
        places.push(place);
        models.push(model);
    }
    models
}

fn model(walk: &mut Walk, field: Field) -> Option<ModelConfig> {
    const AFFINITY: &[(&str, Affinity)] = &[("auto", Affinity::Auto), ("off", Affinity::Off)];
    let path = field.path.clone();
    let mut section = walk.section(&path, Some(field));
    let name = walk.require(&mut section, "name", name(MAX_MODEL_LEN));
    let errors = walk.errors.len();
    let list = walk.list(&mut section, "upstreams", NO_UPSTREAM);
    if list.is_none() && walk.errors.len() == errors && section.is_open() {
        walk.error(&join(&path, "upstreams"), section.line, NO_UPSTREAM);
    }
    let upstreams = list.unwrap_or_default().into_iter().filter_map(|field| upstream(walk, field)).collect();
    let retries = retries(walk, &mut section);
    let ejection = ejection(walk, &mut section);
    let affinity = walk.read(&mut section, "affinity", choice(AFFINITY)).unwrap_or_default();
    walk.finish(section);
    Some(ModelConfig { name: name?, upstreams, retries, ejection, affinity })
}

fn upstream(walk: &mut Walk, field: Field) -> Option<UpstreamConfig> {
    const KEY_HEADERS: &[(&str, KeyHeader)] = &[
        ("authorization", KeyHeader::Authorization),
        ("api-key", KeyHeader::ApiKey),
        ("x-api-key", KeyHeader::XApiKey),
    ];
    const USAGE: &[(&str, AskUsage)] =
        &[("ask", AskUsage::Ask), ("never", AskUsage::Never), ("running", AskUsage::Running)];
    let path = field.path.clone();
    let mut section = walk.section(&path, Some(field));
    let base_url = walk.require(&mut section, "base_url", base_url);
    let api_key = match secret::read(walk, &mut section, "api_key", "api_key_file") {
        SecretSetting::Found(found) => Some(Secret::new(found.text).in_file(found.file)),
        SecretSetting::Absent | SecretSetting::Reported => None,
    };
    let api_key_header = walk.read(&mut section, "api_key_header", choice(KEY_HEADERS));
    let apis = apis(walk, &mut section);
    let api_key_header = api_key_header.unwrap_or_else(|| KeyHeader::default_for(apis));
    let model = walk.read(&mut section, "model", name(MAX_MODEL_LEN));
    let ca_file = secret::certificates(walk, &mut section, "ca_file");
    let section_of_timeouts = walk.take(&mut section, "timeouts");
    let timeouts = timeouts(walk, &join(&path, "timeouts"), section_of_timeouts);
    let usage = walk.read(&mut section, "usage", choice(USAGE)).unwrap_or_default();
    let weight = walk.read(&mut section, "weight", whole(1, 1000)).and_then(NonZeroU32::new);
    let weight = weight.unwrap_or(NonZeroU32::MIN);
    let priority = walk.read(&mut section, "priority", whole(0, 100)).unwrap_or(0);
    walk.finish(section);
    Some(UpstreamConfig {
        base_url: base_url?,
        api_key,
        api_key_header,
        apis,
        model,
        ca_file,
        timeouts,
        usage,
        weight,
        priority,
    })
}

fn apis(walk: &mut Walk, section: &mut Section) -> Operations {
    const APIS: &[(&str, Operation)] = &{
        let [a, b, c, d, e] = Operation::ALL;
        [(a.name(), a), (b.name(), b), (c.name(), c), (d.name(), d), (e.name(), e)]
    };
    let fields = walk.list(section, "apis", "the list is empty; leave it out for chat alone");
    let Some(fields) = fields else { return Operations::default() };
    fields.iter().filter_map(|field| walk.check(field, choice(APIS))).collect()
}

fn timeouts(walk: &mut Walk, path: &str, field: Option<Field>) -> Timeouts {
    let mut section = walk.section(path, field);
    let default = Timeouts::default();
    let timeouts = Timeouts {
        connect: walk.read(&mut section, "connect", timeout).unwrap_or(default.connect),
        first_token: walk.read(&mut section, "first_token", timeout).map_or(default.first_token, FirstToken::Set),
        idle: walk.read(&mut section, "idle", timeout).unwrap_or(default.idle),
        total: walk.read(&mut section, "total", timeout).unwrap_or(default.total),
    };
    walk.finish(section);
    timeouts
}

/// The model `*` of `OPENAI_BASE_URL` and `OPENAI_API_KEY`, if either is set.
pub(super) fn from_environment(environment: &Environment, errors: &mut Vec<ConfigError>) -> Option<ModelConfig> {
    let url = variable(environment, "OPENAI_BASE_URL");
    let key = variable(environment, "OPENAI_API_KEY");
    if url.is_none() && key.is_none() {
        return None;
    }
    let mut report = |path: &str, problem| {
        errors.push(ConfigError { path: path.to_owned(), problem, origin: Origin::Environment });
    };
    let key = key.map(str::trim);
    if let Some(problem) = key.and_then(|key| secret::check_characters(key).err()) {
        report("OPENAI_API_KEY", problem);
    }
    let written = Value::Text(Text { text: url.unwrap_or(OPENAI).trim().to_owned(), written: None });
    let base_url = match base_url(&written) {
        Ok(url) => url,
        Err(expected) => {
            report("OPENAI_BASE_URL", format!("expected {expected}, found {}", value::shown(&written)));
            return None;
        }
    };
    let api_key = key.map(|key| Secret::new(key.to_owned()));
    let upstream = UpstreamConfig { api_key, ..UpstreamConfig::new(base_url) };
    Some(ModelConfig::new(ANY_MODEL.to_owned(), vec![upstream]))
}
