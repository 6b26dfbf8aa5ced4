//! The section `models`: what it says, how it is read; and the upstream of `OPENAI_BASE_URL` and `OPENAI_API_KEY`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::duration::deadline;
use super::error::{ConfigError, Origin};
use super::failover::{Ejection, Retries, ejection, retries};
use super::keys::MAX_MODEL_LEN;
use super::secret::{self, Outcome};
use super::value::{self, base_url, choice, name, shown_text, whole};
use super::walk::{Field, Section, Walk, join};
use super::yaml::{Text, Value};
use super::{ANY_MODEL, Environment, LOCAL_MODEL, Secret, variable};

/// Where `OPENAI_API_KEY` alone leads.
const OPENAI: &str = "https://api.openai.com/v1";

const NO_UPSTREAM: &str = "a model needs at least one upstream with a base_url";

/// A model name that clients ask for, and where it is served.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// What clients ask for; `*` takes every name that no other entry takes.
    pub name: String,
    /// At least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// Further attempts after a failure.
    pub retries: Retries,
    /// When an upstream that keeps failing is left alone, and for how long.
    pub ejection: Ejection,
}

impl ModelConfig {
    /// The model `name`, served by `upstreams`; everything else is the default.
    #[must_use]
    pub fn new(name: String, upstreams: Vec<UpstreamConfig>) -> Self {
        Self { name, upstreams, retries: Retries::default(), ejection: Ejection::default() }
    }
}

/// One place where a model is served.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// `http` or `https`, up to and including `/v1`: `chat/completions` is appended.
    pub base_url: Url,
    /// Sent as `Authorization: Bearer`; none: no such header.
    pub api_key: Option<Secret>,
    /// What the upstream is asked for; none: the name that the client used.
    pub model: Option<String>,
    /// PEM file of certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Whether `stream_options.include_usage` is asked of the upstream. Default [`AskUsage::Ask`].
    pub usage: AskUsage,
    /// Its share of the requests among the upstreams of its priority. Default 1, 1 to 1,000.
    pub weight: NonZeroU32,
    /// Lower ones are tried first; the others stand by for when those are out or have failed. Default 0, 0 to 100.
    pub priority: u32,
}

impl UpstreamConfig {
    /// The upstream at `base_url`; everything else is the default.
    #[must_use]
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            api_key: None,
            model: None,
            ca_file: None,
            timeouts: Timeouts::default(),
            usage: AskUsage::default(),
            weight: NonZeroU32::MIN,
            priority: 0,
        }
    }
}

/// Whether the upstream is asked for usage on streams whose client did not ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskUsage {
    /// Ask, and hide from the client what it did not ask for.
    #[default]
    Ask,
    /// Forward `stream_options` as it came.
    Never,
    /// As [`AskUsage::Ask`], and ask for it on every chunk too (`continuous_usage_stats`), for servers that can, such
    /// as vLLM: streams that are cut have exact counts then.
    Running,
}

/// Deadlines of one upstream, each up to 24 h; none (`0s` in the file): no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together. Default 2 s.
    pub connect: Option<Duration>,
    /// From the request's last byte to the first event; not streamed: to the head of the answer.
    pub first_token: FirstToken,
    /// Longest silence from the upstream, any byte counting. Default 60 s.
    pub idle: Option<Duration>,
    /// The whole request. Default 30 min.
    pub total: Option<Duration>,
}

/// How long the first event may take, or the head of a plain answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstToken {
    /// 90 s for a stream that another upstream can take over. Where none can, and for plain answers, 10 min: as long as
    /// OpenAI's SDKs wait, since reasoning and local models are silent for minutes, and a plain answer has its head when all
    /// of it has been generated.
    #[default]
    Unset,
    /// So long for all of them; none: no deadline.
    Set(Option<Duration>),
}

impl FirstToken {
    /// The deadline, depending on whether another upstream can take over.
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

/// Reads `models`.
pub(super) fn models(walk: &mut Walk, root: &mut Section) -> Vec<ModelConfig> {
    let mut models: Vec<ModelConfig> = Vec::new();
    for field in walk.list(root, "models", "").unwrap_or_default() {
        let (path, line) = (join(&field.path, "name"), field.node.line);
        let Some(model) = one(walk, field) else { continue };
        if model.name == LOCAL_MODEL {
            walk.error(&path, line, format!("{LOCAL_MODEL} is the built-in model; choose another name"));
        } else if models.iter().any(|other| other.name == model.name) {
            let problem = format!("another model is named {}; put all its upstreams there", shown_text(&model.name));
            walk.error(&path, line, problem);
        }
        models.push(model);
    }
    models
}

fn one(walk: &mut Walk, field: Field) -> Option<ModelConfig> {
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
    walk.finish(section);
    Some(ModelConfig { name: name?, upstreams, retries, ejection })
}

fn upstream(walk: &mut Walk, field: Field) -> Option<UpstreamConfig> {
    const USAGE: &[(&str, AskUsage)] =
        &[("ask", AskUsage::Ask), ("never", AskUsage::Never), ("running", AskUsage::Running)];
    let path = field.path.clone();
    let mut section = walk.section(&path, Some(field));
    let base_url = walk.require(&mut section, "base_url", base_url);
    let api_key = match secret::read(walk, &mut section, "api_key", "api_key_file") {
        Outcome::Found(found) => Some(Secret::new(found.text).in_file(found.file)),
        Outcome::Absent | Outcome::Reported => None,
    };
    let model = walk.read(&mut section, "model", name(MAX_MODEL_LEN));
    let ca_file = secret::certificates(walk, &mut section, "ca_file");
    let deadlines = walk.take(&mut section, "timeouts");
    let timeouts = timeouts(walk, &join(&path, "timeouts"), deadlines);
    let usage = walk.read(&mut section, "usage", choice(USAGE)).unwrap_or_default();
    let weight = walk.read(&mut section, "weight", whole(1, 1000)).and_then(NonZeroU32::new);
    let weight = weight.unwrap_or(NonZeroU32::MIN);
    let priority = walk.read(&mut section, "priority", whole(0, 100)).unwrap_or(0);
    walk.finish(section);
    Some(UpstreamConfig { base_url: base_url?, api_key, model, ca_file, timeouts, usage, weight, priority })
}

fn timeouts(walk: &mut Walk, path: &str, field: Option<Field>) -> Timeouts {
    let mut section = walk.section(path, field);
    let default = Timeouts::default();
    let timeouts = Timeouts {
        connect: walk.read(&mut section, "connect", deadline).unwrap_or(default.connect),
        first_token: walk.read(&mut section, "first_token", deadline).map_or(default.first_token, FirstToken::Set),
        idle: walk.read(&mut section, "idle", deadline).unwrap_or(default.idle),
        total: walk.read(&mut section, "total", deadline).unwrap_or(default.total),
    };
    walk.finish(section);
    timeouts
}

/// The model `*` that `OPENAI_BASE_URL` and `OPENAI_API_KEY` ask for, if either is set.
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
    if let Some(problem) = key.and_then(|key| secret::visible(key).err()) {
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
