//! Warnings: settings that are allowed but, together, most likely a mistake.

use std::time::Duration;

use jiff::Timestamp;

use super::duration::shown_duration;
use super::environment::{Environment, variable};
use super::limits::RateLimits;
use super::models::{ANY_MODEL, FirstToken, LOCAL_MODEL, ModelConfig, UpstreamConfig};
use super::proxies::proxy_variable;
use super::settings::{Auth, Config};
use super::value::base_url;
use super::yaml::{Text, Value};

/// With fewer tokens a minute, a single request with its answer may not fit.
const MIN_USEFUL_TOKENS: u64 = 1_000;

/// Default idle timeout of common load balancers, such as those of AWS and nginx.
const BALANCER_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The warnings about `config`.
pub(super) fn warnings(config: &Config, environment: &Environment, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    access(config, now, &mut warnings);
    rates(config, &mut warnings);
    silence(config, &mut warnings);
    events(config, &mut warnings);
    database(config, &mut warnings);
    for model in &config.models {
        retries(model, &mut warnings);
        for (index, upstream) in model.upstreams.iter().enumerate() {
            let place = format!("model {:?}, upstream {}", model.name, index + 1);
            transport(&place, upstream, &mut warnings);
            timeouts(&place, upstream, &mut warnings);
        }
    }
    proxies(config, environment, &mut warnings);
    ignored_variables(config, environment, &mut warnings);
    warnings
}

fn access(config: &Config, now: Timestamp, warnings: &mut Vec<String>) {
    if config.auth == Auth::None && !config.keys.is_empty() {
        warnings.push("auth: none: the configured keys are not asked for, and their limits don't apply".to_owned());
    }
    let served = |name: &String| {
        (config.local_model && name == LOCAL_MODEL)
            || config.models.iter().any(|model| model.name == *name || model.name == ANY_MODEL)
    };
    for key in &config.keys {
        if let Some(expired) = key.expires_at.filter(|at| *at <= now) {
            warnings.push(format!("key {:?} has expired ({expired}); remove it", key.name));
        }
        for model in key.models.iter().flatten().filter(|name| !served(name)) {
            warnings.push(format!("key {:?} may use the model {model:?}, which nobody serves", key.name));
        }
    }
}

fn rates(config: &Config, warnings: &mut Vec<String>) {
    let total = config.limits.total;
    let keys = config.keys.iter().map(|key| (format!("key {:?}", key.name), key.limits));
    let groups = [("limits.total".to_owned(), total), ("limits.per_key".to_owned(), config.limits.per_key)];
    for (place, limits) in groups.into_iter().chain(keys) {
        if let Some(few) = limits.tokens_per_minute.filter(|tokens| tokens.get() < MIN_USEFUL_TOKENS) {
            warnings.push(format!(
                "{place}: tokens_per_minute: {few} is so little that a single request with its answer may never fit"
            ));
        }
        unreachable_limits(&place, limits, total, warnings);
    }
    let streams = total.concurrent_streams.map_or(0, |streams| streams.get() as usize);
    if streams > config.limits.connections {
        let connections = config.limits.connections;
        warnings.push(format!(
            "limits.total.concurrent_streams: {streams} can't be reached with limits.connections: {connections}"
        ));
    }
}

fn unreachable_limits(place: &str, limits: RateLimits, total: RateLimits, warnings: &mut Vec<String>) {
    let mut compare = |name: &str, own: Option<u64>, total: Option<u64>| {
        if let (Some(own), Some(total)) = (own, total)
            && own > total
        {
            warnings.push(format!("{place}: {name}: {own} can't be reached, as limits.total.{name} is {total}"));
        }
    };
    let requests = |limits: RateLimits| limits.requests_per_minute.map(|limit| limit.get().into());
    let tokens = |limits: RateLimits| limits.tokens_per_minute.map(std::num::NonZeroU64::get);
    let streams = |limits: RateLimits| limits.concurrent_streams.map(|limit| limit.get().into());
    compare("requests_per_minute", requests(limits), requests(total));
    compare("tokens_per_minute", tokens(limits), tokens(total));
    compare("concurrent_streams", streams(limits), streams(total));
}

fn silence(config: &Config, warnings: &mut Vec<String>) {
    let silences =
        [("hold", config.hold), ("heartbeat", config.heartbeat), ("events.heartbeat", config.events.heartbeat)];
    for (name, silence) in silences {
        if silence >= BALANCER_IDLE_TIMEOUT {
            let silence = shown_duration(silence);
            warnings
                .push(format!("{name}: {silence} without a byte is as long as many load balancers wait, or longer"));
        }
    }
}

fn events(config: &Config, warnings: &mut Vec<String>) {
    let (window, drain) = (config.events.shutdown_window, config.drain.at_most);
    if window > drain {
        let (window, drain) = (shown_duration(window), shown_duration(drain));
        warnings.push(format!("events.shutdown_window: {window} can't be used up, as drain is {drain}"));
    }
}

fn database(config: &Config, warnings: &mut Vec<String>) {
    let database = &config.database;
    let for_postgres =
        database.direct_url.is_some() || database.read_connections.is_some() || database.write_connections.is_some();
    if for_postgres && !database.is_postgres() {
        warnings.push(format!("database: direct_url and numbers of connections have no effect on {database}"));
    }
}

fn retries(model: &ModelConfig, warnings: &mut Vec<String>) {
    let retries = model.retries;
    if retries.attempts.get() > 1 && retries.budget_percent == 0 && retries.reserve_per_second == 0 {
        let (name, attempts) = (&model.name, retries.attempts);
        warnings.push(format!(
            "model {name:?}: retries: attempts: {attempts} can't be reached, as budget and reserve are 0"
        ));
    }
}

fn transport(place: &str, upstream: &UpstreamConfig, warnings: &mut Vec<String>) {
    let plain = upstream.base_url.url().scheme() == "http";
    if plain && upstream.api_key.is_some() && !upstream.base_url.is_loopback() {
        let url = &upstream.base_url;
        warnings.push(format!("{place}: the API key is sent unencrypted to {url}; use https"));
    }
    if plain && upstream.ca_file.is_some() {
        warnings.push(format!("{place}: ca_file has no effect without https"));
    }
}

fn timeouts(place: &str, upstream: &UpstreamConfig, warnings: &mut Vec<String>) {
    let timeouts = upstream.timeouts;
    // A default is compared only where it matters.
    let first_token = match timeouts.first_token {
        FirstToken::Set(limit) => limit,
        FirstToken::Unset if timeouts.total.is_none() => timeouts.first_token.limit(false),
        FirstToken::Unset => None,
    };
    let Some(total) = timeouts.total else {
        if first_token.is_none() || timeouts.idle.is_none() {
            let problem = "total is off, and so is first_token or idle: a silent upstream can hold a request for ever";
            warnings.push(format!("{place}: timeouts: {problem}"));
        }
        return;
    };
    let parts = [("connect", timeouts.connect), ("first_token", first_token), ("idle", timeouts.idle)];
    for (name, part) in parts {
        if part.is_some_and(|part| part > total) {
            warnings.push(format!("{place}: timeouts: {name} is longer than total and can't be reached"));
        }
    }
}

fn proxies(config: &Config, environment: &Environment, warnings: &mut Vec<String>) {
    let urls = config.models.iter().flat_map(|model| &model.upstreams).map(|upstream| &upstream.base_url);
    let mut affected = urls.filter_map(|url| Some((proxy_variable(url, environment)?, url)));
    if let Some((name, url)) = affected.next() {
        warnings.push(format!("{name} has no effect: {url} is connected to directly, and so is every other upstream"));
    }
}

fn ignored_variables(config: &Config, environment: &Environment, warnings: &mut Vec<String>) {
    let Some(text) = variable(environment, "OPENAI_BASE_URL") else { return };
    let Some(any) = config.models.iter().find(|model| model.name == ANY_MODEL) else { return };
    let Ok(url) = base_url(&Value::Text(Text { text: text.to_owned(), written: None })) else { return };
    if any.upstreams.iter().all(|upstream| upstream.base_url != url) {
        warnings.push(format!("OPENAI_BASE_URL ({url}) is ignored: the file says where the model \"*\" is served"));
    }
}
