//! Loads the configuration: flags override the environment, which overrides the file, which overrides the defaults.

use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::database::{self, Database};
use super::duration::{duration_between, retention, timeout};
use super::environment::{Environment, variable};
use super::error::{ConfigError, Origin};
use super::listen::{ListenAddress, ListenConfig};
use super::models::ANY_MODEL;
use super::redis::RedisSection;
use super::settings::{AccountingConfig, Auth, Config, LogFormat, UnknownParameters};
use super::substitute::substitute;
use super::tls::TlsFiles;
use super::value::{address, choice, flag, shown, whole};
use super::walk::{Field, Section, Walk};
use super::warn::warnings;
use super::yaml::{self, Text, Value};
use super::{auth, events, keys, limits, listen, models, petstore, redis, reload, trusted_proxies};

/// The default configuration file with its comments, which `petstream config` prints.
pub const DEFAULT_FILE: &str = include_str!("../../deploy/petstream.yaml");

/// The file that is read from the working folder if no other is named.
const FILE_NAME: &str = "petstream.yaml";
/// Longest file, bytes; a longer one is the wrong file.
const MAX_FILE_LEN: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);
const LOG_FORMATS: &[(&str, LogFormat)] =
    &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The sources of a configuration.
#[derive(Clone, Default)]
pub struct Sources {
    /// The flags of the command line.
    pub flags: Flags,
    /// The environment variables; empty ones count as unset.
    pub environment: Environment,
    /// The working folder: where `petstream.yaml` is looked for, and to which the path of another file is relative.
    pub folder: PathBuf,
}

/// Flags, not parsed yet.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the file to read.
    pub config: Option<PathBuf>,
    /// `--listen`: address and port.
    pub listen: Option<String>,
    /// `--database`: a database URL.
    pub database: Option<String>,
    /// `--redis`: the URL of Redis.
    pub redis: Option<String>,
    /// `--log-format`: `auto`, `text` or `json`.
    pub log_format: Option<String>,
    /// `--print-key`: show the secret of a first key.
    pub print_key: bool,
}

/// A configuration without errors.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Settings that are allowed but most likely a mistake.
    pub warnings: Vec<String>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// Identifies the content of that file, see [`file_version`].
    pub version: Option<FileVersion>,
}

/// Hash of the content of a file.
pub type FileVersion = [u8; 32];

/// The settings of commands that only use the database.
#[derive(Debug)]
pub struct DatabaseSettings {
    /// The database.
    pub database: Database,
    /// Names of keys that are configured in the file or the environment.
    pub key_names: Vec<String>,
}

/// Loads the whole configuration.
///
/// # Errors
/// All errors, in the order of the file.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<ConfigError>> {
    let read = read(sources);
    if !read.errors.is_empty() {
        return Err(read.errors);
    }
    let warnings = warnings(&read.config, &sources.environment, Timestamp::now());
    Ok(Loaded { config: read.config, warnings, file: read.file, version: read.version })
}

/// Loads the settings of commands that only use the database. Errors of other settings are ignored: a variable that
/// only the server's environment has must not keep an administrator from revoking a key.
///
/// # Errors
/// Those of the database URL, or of the file as a whole.
pub fn load_database_settings(sources: &Sources) -> Result<DatabaseSettings, Vec<ConfigError>> {
    let Read { config, errors, .. } = read(sources);
    decisive(errors, &[])?;
    Ok(DatabaseSettings { database: config.database, key_names: config.keys.into_iter().map(|key| key.name).collect() })
}

/// Loads the path of the control socket of a server with these sources; none: it has no socket. Errors of other
/// settings are the server's to report.
///
/// # Errors
/// Those of the section `control`, of the database URL, or of the file as a whole.
pub fn load_control_socket(sources: &Sources) -> Result<Option<PathBuf>, Vec<ConfigError>> {
    let Read { config, errors, .. } = read(sources);
    decisive(errors, &["control", "control.socket"])?;
    Ok(config.control.path(&config.database))
}

/// The version of the file that [`load`] would read; none: there is none, or it can't be read.
#[must_use]
pub fn file_version(sources: &Sources) -> Option<FileVersion> {
    file_text(sources).ok().flatten().map(|(_, text)| version_of(&text))
}

fn version_of(text: &str) -> FileVersion {
    Sha256::digest(text).into()
}

/// The errors of the settings at `paths`, of the database URL, and of the file as a whole.
fn decisive(errors: Vec<ConfigError>, paths: &[&str]) -> Result<(), Vec<ConfigError>> {
    let always = ["", "--config", "PETSTREAM_CONFIG", "database", "--database", "PETSTREAM_DATABASE"];
    let is_decisive = |error: &ConfigError| {
        error.path.starts_with("database.") || always.iter().chain(paths).any(|path| *path == error.path)
    };
    let errors: Vec<_> = errors.into_iter().filter(is_decisive).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Settings of the file that are used or checked only together with flags and environment.
pub(super) struct Deferred {
    auth: Origin,
    metrics: Origin,
    /// The top-level `tls`.
    tls: Option<TlsFiles>,
    redis: RedisSection,
}

impl Deferred {
    /// Those of a file without settings, whose place is `origin`.
    fn none(origin: &Origin) -> Self {
        Self { auth: origin.clone(), metrics: origin.clone(), tls: None, redis: RedisSection::default() }
    }
}

struct Read {
    config: Config,
    errors: Vec<ConfigError>,
    file: Option<PathBuf>,
    version: Option<FileVersion>,
}

impl Read {
    /// The defaults, without a file.
    fn defaults(errors: Vec<ConfigError>) -> Self {
        Self { config: Config::default(), errors, file: None, version: None }
    }
}

fn read(sources: &Sources) -> Read {
    let (mut read, deferred) = match file_text(sources) {
        Ok(None) => (Read::defaults(Vec::new()), Deferred::none(&Origin::Environment)),
        Ok(Some((path, text))) => {
            let mut walk = Walk::new(path.display().to_string(), folder_of(&sources.folder.join(&path)));
            let (config, deferred) = from_text(&text, &sources.environment, &mut walk);
            let version = Some(version_of(&text));
            (Read { config, errors: walk.errors, file: Some(path), version }, deferred)
        }
        Err(error) => (Read::defaults(vec![error]), Deferred::none(&Origin::Environment)),
    };
    overlay(sources, deferred.tls.as_ref(), &mut read.config, &mut read.errors);
    let variable = variable(&sources.environment, "PETSTREAM_REDIS");
    read.config.redis = deferred.redis.with(variable, sources.flags.redis.as_deref(), &mut read.errors);
    let Config { auth: asked, listen, metrics_listen, .. } = &read.config;
    let is_metrics = |address: &ListenAddress| match (address, metrics_listen) {
        (ListenAddress::Tcp(address), Some(metrics)) => address == metrics && address.port() != 0,
        _ => false,
    };
    if let Some(listener) = listen.iter().find(|listener| is_metrics(&listener.address)) {
        let problem = format!("{} is where the server itself listens; choose another port", listener.address);
        read.errors.push(ConfigError { path: "metrics.listen".to_owned(), problem, origin: deferred.metrics });
    }
    let public = listen.iter().find(|listener| !listener.address.is_local());
    if let (Auth::None, Some(listener)) = (asked, public) {
        let problem = format!(
            "none lets everybody in and is refused on {}; listen on a loopback address such as 127.0.0.1:4000, or set \
             auth: keys",
            listener.address
        );
        read.errors.push(ConfigError { path: "auth".to_owned(), problem, origin: deferred.auth });
    }
    read
}

/// The path of the file as the user named it, and its text; none: no file was named, and there is no default file.
fn file_text(sources: &Sources) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let variable = variable(&sources.environment, "PETSTREAM_CONFIG").map(PathBuf::from);
    let (path, place, origin) = match (&sources.flags.config, variable) {
        (Some(path), _) => (path.clone(), "--config", Origin::CommandLine),
        (None, Some(path)) => (path, "PETSTREAM_CONFIG", Origin::Environment),
        (None, None) if exists(&sources.folder.join(FILE_NAME)) => {
            (PathBuf::from(FILE_NAME), "", Origin::File { name: FILE_NAME.to_owned(), line: None })
        }
        (None, None) => return Ok(None),
    };
    let problem = match read_text(&sources.folder.join(&path)) {
        Ok(text) => return Ok(Some((path, text))),
        Err(problem) => problem,
    };
    let problem =
        format!("can't read {}: {problem}; correct the path, or make it with `petstream config`", path.display());
    Err(ConfigError { path: place.to_owned(), problem, origin })
}

/// Whether there is anything at `path`. A file that can't be inspected counts: it must not be ignored silently.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().map_or_else(|error| error.kind() != ErrorKind::NotFound, |_| true)
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err("longer than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The configuration of `text`, and the places of settings that are checked later.
pub(super) fn from_text(text: &str, environment: &Environment, walk: &mut Walk) -> (Config, Deferred) {
    const UNKNOWN: &[(&str, UnknownParameters)] =
        &[("pass", UnknownParameters::Pass), ("refuse", UnknownParameters::Refuse)];
    let mut node = match yaml::parse(text) {
        Ok(node) => node,
        Err(syntax) => {
            walk.error("", syntax.line.unwrap_or(0), format!("not valid YAML: {}", syntax.message));
            return (Config::default(), Deferred::none(&walk.origin(0)));
        }
    };
    substitute(&mut node, "", environment, walk);
    let present = !matches!(node.value, Value::Null);
    let mut root = walk.section("", present.then_some(Field { path: String::new(), node }));
    let default = Config::default();
    let (listen, tls) = listen::listeners(walk, &mut root);
    let database = database::database(walk, &mut root).unwrap_or(default.database);
    let redis = redis::redis(walk, &mut root);
    let (auth, auth_at) = auth::auth(walk, &mut root);
    let (metrics_listen, metrics_at) = metrics(walk, &mut root);
    let local_model = walk.read(&mut root, "local_model", flag).unwrap_or(default.local_model);
    let threads = walk.read(&mut root, "threads", whole(1, 1_024)).and_then(NonZeroUsize::new);
    let config = Config {
        listen_is_default: listen.is_none(),
        listen: listen.unwrap_or_else(|| ListenConfig::default_with(tls.as_ref())),
        trusted_proxies: trusted_proxies::trusted_proxies(walk, &mut root),
        connection_age: walk.read(&mut root, "connection_age", timeout).unwrap_or(default.connection_age),
        threads: threads.unwrap_or(default.threads),
        database,
        redis: default.redis,
        auth: auth.mode.unwrap_or_default(),
        auth_cache: auth.cache.unwrap_or(default.auth_cache),
        log_format: walk.read(&mut root, "log_format", choice(LOG_FORMATS)).unwrap_or_default(),
        limits: limits::limits(walk, &mut root),
        keys: keys::keys(walk, &mut root),
        unknown_parameters: walk.read(&mut root, "unknown_parameters", choice(UNKNOWN)).unwrap_or_default(),
        local_model,
        responder: petstore::responder(walk, &mut root),
        petstore: petstore::petstore(walk, &mut root),
        models: models::models(walk, &mut root, local_model),
        drain: listen::drain(walk, &mut root),
        hold: walk.read(&mut root, "hold", duration_between(Duration::ZERO, FIVE_MINUTES)).unwrap_or(default.hold),
        heartbeat: walk
            .read(&mut root, "heartbeat", duration_between(SECOND, FIVE_MINUTES))
            .unwrap_or(default.heartbeat),
        metrics_listen,
        accounting: accounting(walk, &mut root),
        events: events::events(walk, &mut root),
        allow_origins: events::cors(walk, &mut root),
        secure_cookies: events::cookies(walk, &mut root),
        public_path: walk.read(&mut root, "public_path", events::public_path).unwrap_or(default.public_path),
        page: walk.read(&mut root, "page", flag).unwrap_or(default.page),
        print_key: default.print_key,
        reload: walk.read(&mut root, "reload", choice(reload::MODES)).unwrap_or_default(),
        control: reload::control(walk, &mut root),
    };
    walk.finish(root);
    walk.errors.sort_by_key(ConfigError::line);
    (config, Deferred { auth: auth_at, metrics: metrics_at, tls, redis })
}

/// Reads `metrics`; also returns the position of `listen`.
fn metrics(walk: &mut Walk, root: &mut Section) -> (Option<SocketAddr>, Origin) {
    let field = walk.take(root, "metrics");
    let mut section = walk.section("metrics", field);
    let listen = walk.take(&mut section, "listen");
    let origin = walk.origin(listen.as_ref().map_or(0, |field| field.node.line));
    walk.finish(section);
    (listen.and_then(|field| walk.check(&field, address)), origin)
}

/// Reads `accounting`.
fn accounting(walk: &mut Walk, root: &mut Section) -> AccountingConfig {
    let field = walk.take(root, "accounting");
    let mut section = walk.section("accounting", field);
    let keep = walk.read(&mut section, "keep", retention);
    walk.finish(section);
    keep.map_or_else(AccountingConfig::default, |keep| AccountingConfig { keep })
}

/// Overrides the settings of the file by those of environment and flags.
fn overlay(sources: &Sources, tls: Option<&TlsFiles>, config: &mut Config, errors: &mut Vec<ConfigError>) {
    let Sources { flags, environment, .. } = sources;
    let mut over = Overlay { environment, errors };
    let listen = flags.listen.as_deref();
    config.listen_is_default &= listen.is_none() && variable(environment, "PETSTREAM_LISTEN").is_none();
    over.set(&mut config.listen, "--listen", listen, "PETSTREAM_LISTEN", listen::addresses(tls));
    let mut elsewhere = None;
    let parse = |value: &Value| database::parse_database(value).map(Some);
    over.set(&mut elsewhere, "--database", flags.database.as_deref(), "PETSTREAM_DATABASE", parse);
    if let Some(Database { url, direct_url, .. }) = elsewhere {
        // The direct_url of a file that names a database leads to that one.
        let file = std::mem::take(&mut config.database);
        let direct_url = if file.url == Database::default().url { file.direct_url } else { direct_url };
        config.database = Database { url, direct_url, ..file };
    }
    over.set(&mut config.log_format, "--log-format", flags.log_format.as_deref(), "", choice(LOG_FORMATS));
    config.print_key = flags.print_key;
    if let Some(list) = variable(environment, "PETSTREAM_API_KEY") {
        keys::from_environment(list, &mut config.keys, errors);
    }
    let upstream = models::from_environment(environment, errors);
    if config.models.iter().all(|model| model.name != ANY_MODEL) {
        // The entry `*` of the file, if there is one, takes precedence over the variables.
        config.models.extend(upstream);
    }
}

struct Overlay<'a> {
    environment: &'a Environment,
    errors: &'a mut Vec<ConfigError>,
}

impl Overlay<'_> {
    /// Sets `value` from the variable, then from the flag. Both are checked.
    fn set<T>(
        &mut self,
        value: &mut T,
        flag: &str,
        written: Option<&str>,
        name: &str,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) {
        let held = variable(self.environment, name);
        for (path, text, origin) in [(name, held, Origin::Environment), (flag, written, Origin::CommandLine)] {
            let Some(text) = text else { continue };
            let text = Value::Text(Text { text: text.to_owned(), written: None });
            match parse(&text) {
                Ok(parsed) => *value = parsed,
                Err(expected) => {
                    let problem = format!("expected {expected}, found {}", shown(&text));
                    self.errors.push(ConfigError { path: path.to_owned(), problem, origin });
                }
            }
        }
    }
}
