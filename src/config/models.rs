//! Reads the section `models`, and makes the upstream of `OPENAI_BASE_URL` and `OPENAI_API_KEY`.

use std::time::Duration;

use super::error::{ConfigError, Origin};
use super::keys::LONGEST_MODEL;
use super::secret::{self, Outcome};
use super::value::{self, base_url, choice, deadline, name, shown_text};
use super::walk::{Field, Section, Walk, join};
use super::yaml::{Text, Value};
use super::{ANY_MODEL, AskUsage, Environment, LOCAL_MODEL, ModelConfig, Secret, Timeouts, UpstreamConfig, variable};

/// Where `OPENAI_API_KEY` alone leads.
const OPENAI: &str = "https://api.openai.com/v1";

const NO_UPSTREAM: &str = "a model needs at least one upstream with a base_url";

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(2)),
            first_token: Some(Duration::from_secs(120)),
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
    let name = walk.require(&mut section, "name", name(LONGEST_MODEL));
    let errors = walk.errors.len();
    let list = walk.list(&mut section, "upstreams", NO_UPSTREAM);
    if list.is_none() && walk.errors.len() == errors && section.is_open() {
        walk.error(&join(&path, "upstreams"), section.line, NO_UPSTREAM);
    }
    let upstreams = list.unwrap_or_default().into_iter().filter_map(|field| upstream(walk, field)).collect();
    walk.finish(section);
    Some(ModelConfig { name: name?, upstreams })
}

fn upstream(walk: &mut Walk, field: Field) -> Option<UpstreamConfig> {
    const USAGE: &[(&str, AskUsage)] = &[("ask", AskUsage::Ask), ("never", AskUsage::Never)];
    let path = field.path.clone();
    let mut section = walk.section(&path, Some(field));
    let base_url = walk.require(&mut section, "base_url", base_url);
    let api_key = match secret::read(walk, &mut section, "api_key", "api_key_file") {
        Outcome::Found(found) => Some(Secret::new(found.text)),
        Outcome::Absent | Outcome::Reported => None,
    };
    let model = walk.read(&mut section, "model", name(LONGEST_MODEL));
    let ca_file = secret::certificates(walk, &mut section, "ca_file");
    let deadlines = walk.take(&mut section, "timeouts");
    let timeouts = timeouts(walk, &join(&path, "timeouts"), deadlines);
    let usage = walk.read(&mut section, "usage", choice(USAGE)).unwrap_or_default();
    walk.finish(section);
    Some(UpstreamConfig { base_url: base_url?, api_key, model, ca_file, timeouts, usage })
}

fn timeouts(walk: &mut Walk, path: &str, field: Option<Field>) -> Timeouts {
    let mut section = walk.section(path, field);
    let default = Timeouts::default();
    let timeouts = Timeouts {
        connect: walk.read(&mut section, "connect", deadline).unwrap_or(default.connect),
        first_token: walk.read(&mut section, "first_token", deadline).unwrap_or(default.first_token),
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
    let upstream = UpstreamConfig {
        base_url,
        api_key: key.map(|key| Secret::new(key.to_owned())),
        model: None,
        ca_file: None,
        timeouts: Timeouts::default(),
        usage: AskUsage::default(),
    };
    Some(ModelConfig { name: ANY_MODEL.to_owned(), upstreams: vec![upstream] })
}
