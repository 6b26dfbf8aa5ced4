//! Loading as a whole: the fixtures, the precedence of the sources, the default file.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::walk::Walk;
use super::yaml::{Node, Value};
use super::*;
use crate::wire::api_key::{KeyHash, Scopes};

const SECRET: &str = "sk-verysecret-0123456789";

fn fixtures(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config").join(kind)
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads `text` as the petstream.yaml of an otherwise empty folder.
fn read(text: &str, environment: Environment, flags: Flags) -> Result<Loaded, Vec<ConfigError>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("petstream.yaml"), text).unwrap();
    load(&Sources { flags, environment, folder: folder.path().to_owned() })
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

/// The port of the only listener.
fn port_of(config: &Config) -> u16 {
    let [ListenConfig { address: ListenAddress::Tcp(address), .. }] = config.listen[..] else {
        panic!("{:?}", config.listen)
    };
    address.port()
}

/// The files of a folder of fixtures, and the result of loading each.
fn each_fixture(kind: &str) -> Vec<(PathBuf, Result<Loaded, Vec<ConfigError>>)> {
    let folder = fixtures(kind);
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    let load_one = |path: PathBuf| {
        let flags = Flags { config: Some(path.file_name().unwrap().into()), ..Flags::default() };
        let environment = environment(&[("SECRET", SECRET), ("RATE", "60"), ("BROKEN", "x"), ("SPACED", "a b")]);
        let loaded = load(&Sources { flags, environment, folder: folder.clone() });
        (path, loaded)
    };
    names.into_iter().map(load_one).collect()
}

#[test]
fn valid_files_load_with_the_expected_warnings() {
    let fixtures = each_fixture("valid");
    assert!(fixtures.len() >= 3);
    for (path, loaded) in fixtures {
        let loaded = loaded.unwrap_or_else(|errors| panic!("{}:\n{}", path.display(), lines(&errors)));
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let warnings: String = loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        assert_eq!(warnings, expected, "{}", path.display());
        assert!(!format!("{loaded:?}").contains("verysecret"), "{}", path.display());
    }
}

#[test]
fn invalid_files_give_every_expected_error() {
    let fixtures = each_fixture("invalid");
    assert!(fixtures.len() >= 5);
    for (path, loaded) in fixtures {
        let errors = lines(&loaded.expect_err(&path.display().to_string()));
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(errors, expected, "{}", path.display());
        assert!(!errors.contains("verysecret"), "{errors}");
    }
}

#[test]
fn without_any_source_the_defaults_apply() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&Sources { folder: folder.path().to_owned(), ..Sources::default() }).unwrap();
    assert_eq!(format!("{:?}", loaded.config), format!("{:?}", Config::default()));
    assert_eq!(loaded.file, None);
    for text in ["", "# nothing\n", "limits:\nmodels:\nkeys: []\n"] {
        let loaded = read(text, Environment::new(), Flags::default()).unwrap();
        assert_eq!(format!("{:?}", loaded.config), format!("{:?}", Config::default()), "{text:?}");
    }
}

#[test]
fn flags_beat_environment_beats_file() {
    let file = "listen: 127.0.0.1:1\ndatabase: sqlite:file.db\nlog_format: text\n";
    let variables = environment(&[("PETSTREAM_LISTEN", "127.0.0.1:2"), ("PETSTREAM_DATABASE", "")]);
    let flags = Flags { listen: Some("127.0.0.1:3".into()), log_format: Some("json".into()), ..Flags::default() };
    let port = |variables: &Environment, flags| {
        let config = read(file, variables.clone(), flags).unwrap().config;
        assert_eq!(config.database.url, "sqlite:file.db");
        port_of(&config)
    };
    assert_eq!(port(&Environment::new(), Flags::default()), 1);
    assert_eq!(port(&variables, Flags::default()), 2);
    assert_eq!(port(&variables, flags.clone()), 3);
    assert_eq!(read(file, variables, flags).unwrap().config.log_format, LogFormat::Json);
}

#[test]
fn all_invalid_flags_and_variables_are_reported() {
    let flags = Flags { listen: Some("here".into()), database: Some("mysql://u:p@h".into()), ..Flags::default() };
    let variables = environment(&[
        ("PETSTREAM_LISTEN", "4000"),
        ("PETSTREAM_API_KEY", "abc,verysecret-0123456789,verysecret-0123456789"),
        ("OPENAI_BASE_URL", "api.openai.com"),
        ("OPENAI_API_KEY", "very secret"),
    ]);
    let errors = lines(&read("", variables, flags).unwrap_err());
    let expected = "\
PETSTREAM_LISTEN: expected ADDRESS:PORT such as 127.0.0.1:4000 or [::1]:4000, unix:PATH, or systemd, found \"4000\" (environment)
--listen: expected ADDRESS:PORT such as 127.0.0.1:4000 or [::1]:4000, unix:PATH, or systemd, found \"here\" (command line)
--database: expected sqlite:PATH, sqlite::memory: or postgres://USER:PASSWORD@HOST/DATABASE, found a text that is not \
         shown here, as it may be a secret \
                    (command line)
PETSTREAM_API_KEY: key 1: the secret is shorter than 4 characters; `petstream keys create` makes a good one \
                    (environment)
PETSTREAM_API_KEY: key 3: env-2 has the same secret; choose another (environment)
OPENAI_API_KEY: the secret has characters other than visible ASCII (a blank, a line break?); correct it (environment)
OPENAI_BASE_URL: expected a URL such as https://api.openai.com/v1, found \"api.openai.com\" (environment)
";
    assert_eq!(errors, expected);
}

#[test]
fn a_file_that_is_named_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { config: Some("no.yaml".into()), ..Flags::default() };
    let mut sources = Sources { flags, folder: folder.path().to_owned(), ..Sources::default() };
    let errors = load(&sources).unwrap_err();
    assert_eq!((errors.len(), errors[0].path.as_str()), (1, "--config"));
    sources.flags.config = None;
    sources.environment = environment(&[("PETSTREAM_CONFIG", "no.yaml")]);
    assert_eq!(load(&sources).unwrap_err()[0].path, "PETSTREAM_CONFIG");
    std::fs::write(folder.path().join("no.yaml"), "listen: 127.0.0.1:9\n").unwrap();
    assert_eq!(port_of(&load(&sources).unwrap().config), 9);
}

#[test]
fn keys_from_the_environment_have_all_scopes() {
    let variables = environment(&[("PETSTREAM_API_KEY", "first-0123456789, second-0123456789,")]);
    let keys = read("", variables, Flags::default()).unwrap().config.keys;
    let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["env-1", "env-2"]);
    assert!(keys[1].hash == KeyHash::of("second-0123456789"));
    assert_eq!(keys[0].scopes, Scopes::ALL);
}

#[test]
fn the_openai_variables_configure_every_other_model() {
    let upstream = |pairs: &[(&str, &str)], file: &str| {
        let config = read(file, environment(pairs), Flags::default()).unwrap().config;
        let any = config.models.into_iter().find(|model| model.name == ANY_MODEL).unwrap();
        let UpstreamConfig { base_url, api_key, .. } = any.upstreams.into_iter().next().unwrap();
        (base_url.to_string(), api_key.map(|key| key.reveal().to_owned()))
    };
    let one = "models: [{name: m, upstreams: [{base_url: 'http://h/v1'}]}]";
    let key = ("OPENAI_API_KEY", "k");
    let url = ("OPENAI_BASE_URL", "http://u/v1");
    assert_eq!(upstream(&[key], one), ("https://api.openai.com/v1".into(), Some("k".into())));
    assert_eq!(upstream(&[url], one), ("http://u/v1".into(), None));
    assert_eq!(upstream(&[url, key], ""), ("http://u/v1".into(), Some("k".into())));
    let any = "models: [{name: '*', upstreams: [{base_url: 'http://h/v1'}]}]";
    assert_eq!(upstream(&[url, key], any), ("http://h/v1".into(), None));
    let warnings = read(any, environment(&[url]), Flags::default()).unwrap().warnings;
    assert!(warnings[0].starts_with("OPENAI_BASE_URL (http://u/v1) is ignored"), "{warnings:?}");
}

#[test]
fn auth_none_is_refused_beyond_loopback_whatever_sets_the_address() {
    let listen = |address: &str| Flags { listen: Some(address.into()), ..Flags::default() };
    for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(read("auth: none", Environment::new(), listen(local)).unwrap().config.auth, Auth::None, "{local}");
    }
    for open in ["0.0.0.0:1", "[::]:1", "192.168.1.1:1"] {
        let errors = read("\nauth: none\n", Environment::new(), listen(open)).unwrap_err();
        assert!(lines(&errors).starts_with("auth: none lets everybody in"), "{}", lines(&errors));
        assert!(lines(&errors).ends_with("or set auth: keys (petstream.yaml:2)\n"), "{}", lines(&errors));
    }
    let file = "listen: 0.0.0.0:1\nauth: none\n";
    assert!(read(file, environment(&[("PETSTREAM_LISTEN", "127.0.0.1:1")]), Flags::default()).is_ok());
}

#[test]
fn the_metrics_listener_needs_an_address_of_its_own() {
    let listen = |address: &str| Flags { listen: Some(address.into()), ..Flags::default() };
    let file = "\nmetrics: {listen: 127.0.0.1:9400}\n";
    let metrics = |flags| read(file, Environment::new(), flags).map(|loaded| loaded.config.metrics_listen);
    assert_eq!(metrics(Flags::default()).unwrap(), Some("127.0.0.1:9400".parse().unwrap()));
    let expected = "metrics.listen: 127.0.0.1:9400 is where the server itself listens; choose another port \
                    (petstream.yaml:2)\n";
    assert_eq!(lines(&metrics(listen("127.0.0.1:9400")).unwrap_err()), expected);
    // Port 0 is a different one each time.
    let any = read("metrics: {listen: 127.0.0.1:0}", Environment::new(), listen("127.0.0.1:0"));
    assert!(any.is_ok());
}

#[test]
fn retries_ejection_and_affinity_of_a_model_are_read() {
    let file = "\
models:
- name: m
  upstreams: [{base_url: 'http://h/v1', weight: 7, priority: 2, usage: running}]
  retries: {attempts: 1, budget: 5%, reserve: 0, same_target: 1, backoff: 100ms..3s, max_retry_after: 500ms}
  ejection: {failures: 0, base: 500ms, max: 1h}
  affinity: off
accounting: {keep: 0s}
limits: {stop_at_budget: true}
drain: 0s
hold: 0s
heartbeat: 1s
";
    let config = read(file, Environment::new(), Flags::default()).unwrap().config;
    let model = &config.models[0];
    let upstream = &model.upstreams[0];
    assert_eq!((upstream.weight.get(), upstream.priority, upstream.usage), (7, 2, AskUsage::Running));
    let retries = Retries {
        attempts: NonZeroU32::MIN,
        budget_percent: 5,
        reserve_per_second: 0,
        same_target: 1,
        backoff: Backoff { from: Duration::from_millis(100), to: Duration::from_secs(3) },
        max_retry_after: Duration::from_millis(500),
    };
    assert_eq!(model.retries, retries);
    let (base, max) = (Duration::from_millis(500), Duration::from_secs(3600));
    assert_eq!((model.ejection, model.affinity), (Ejection { failures: 0, base, max }, Affinity::Off));
    assert_eq!((config.accounting.keep, config.limits.stop_at_budget), (None, true));
    assert_eq!((config.drain.at_most, config.hold, config.heartbeat.as_secs()), (Duration::ZERO, Duration::ZERO, 1));
}

#[test]
fn the_longest_ejection_is_never_shorter_than_the_first() {
    let max = |ejection: &str| {
        let file =
            format!("models: [{{name: m, upstreams: [{{base_url: 'http://h/v1'}}], ejection: {{{ejection}}}}}]\n");
        read(&file, Environment::new(), Flags::default()).unwrap().config.models[0].ejection.max.as_secs()
    };
    assert_eq!([max(""), max("base: 5s"), max("base: 1m"), max("base: 1m, max: 2m")], [30, 30, 60, 120]);
}

#[test]
fn the_default_timeout_of_the_first_token_depends_on_other_upstreams() {
    let limits = |timeouts: &str| {
        let file =
            format!("models: [{{name: m, upstreams: [{{base_url: 'http://h/v1', timeouts: {{{timeouts}}}}}]}}]\n");
        let config = read(&file, Environment::new(), Flags::default()).unwrap().config;
        [true, false].map(|another| config.models[0].upstreams[0].timeouts.first_token.limit(another))
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(limits(""), [seconds(90), seconds(600)]);
    assert_eq!(limits("first_token:"), [seconds(90), seconds(600)]);
    assert_eq!(limits("first_token: 5s"), [seconds(5); 2]);
    assert_eq!(limits("first_token: 0s"), [None; 2]);
}

#[test]
fn commands_on_the_database_ignore_errors_of_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = "database: sqlite:x.db\nkeys: [{name: a, key: 0123456789abcdefg}, {name: b, key: '${NO}'}]\n";
    std::fs::write(folder.path().join("petstream.yaml"), file).unwrap();
    let sources = Sources { folder: folder.path().to_owned(), ..Sources::default() };
    let read = load_database_settings(&sources).unwrap();
    assert_eq!((read.database.url.as_str(), read.key_names), ("sqlite:x.db", vec!["a".to_owned()]));
    std::fs::write(folder.path().join("petstream.yaml"), "database: 5\n").unwrap();
    assert_eq!(load_database_settings(&sources).unwrap_err().len(), 1);
}

#[test]
fn paths_of_secrets_are_relative_to_the_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("conf")).unwrap();
    std::fs::write(folder.path().join("conf/key"), format!("{SECRET}\n")).unwrap();
    let file = "\
models: [{name: m, upstreams: [{base_url: 'https://h/v1', api_key_file: key}]}]
keys: [{name: a, key_file: key}]
";
    std::fs::write(folder.path().join("conf/p.yaml"), file).unwrap();
    let flags = Flags { config: Some("conf/p.yaml".into()), ..Flags::default() };
    let loaded = load(&Sources { flags, folder: folder.path().to_owned(), ..Sources::default() }).unwrap();
    assert_eq!(loaded.config.models[0].upstreams[0].api_key.as_ref().unwrap().reveal(), SECRET);
    assert!(loaded.config.keys[0].hash == KeyHash::of(SECRET));
    assert!(!format!("{loaded:?}").contains("verysecret"));
}

/// The default file with its examples uncommented.
fn with_examples() -> String {
    let uncomment = |line: &str| {
        let text = line.trim_start();
        let example = text.starts_with("#-") || text.starts_with("#  ");
        if example { line.replacen('#', "", 1) } else { line.to_owned() }
    };
    DEFAULT_FILE.lines().map(|line| uncomment(line) + "\n").collect()
}

fn documented(node: &Node, path: &str, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let path = super::walk::join(path, &entry.key);
                documented(&entry.node, &path, found);
                found.insert(path);
            }
        }
        Value::List(nodes) => nodes.iter().for_each(|node| documented(node, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn the_default_file_contains_the_defaults() {
    let loaded = read(DEFAULT_FILE, Environment::new(), Flags::default()).unwrap();
    assert_eq!(format!("{:?}", loaded.config), format!("{:?}", Config::default()));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_default_file_documents_every_key_and_no_other() {
    let variables = environment(&[("ALICE_KEY", SECRET), ("OPENAI_API_KEY", "k")]);
    let folder = tempfile::tempdir().unwrap();
    let mut walk = Walk::new("petstream.yaml".into(), folder.path().to_owned());
    super::load::from_text(&with_examples(), &variables, &mut walk);
    let mut found = BTreeSet::new();
    documented(&yaml::parse(&with_examples()).map_err(|error| error.message).unwrap(), "", &mut found);
    assert_eq!(found, walk.known);
}

#[test]
fn the_examples_of_the_default_file_load_and_contain_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/bob.key"), "bob-0123456789abcdef\n").unwrap();
    std::fs::write(folder.path().join("secrets/llm.key"), "llm\n").unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
    std::fs::create_dir(folder.path().join("tls")).unwrap();
    for name in ["secrets/ca.pem", "tls/server.pem", "tls/server.key", "tls/clients.pem"] {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    std::fs::write(folder.path().join("petstream.yaml"), with_examples()).unwrap();
    let environment = environment(&[("ALICE_KEY", SECRET), ("OPENAI_API_KEY", "k")]);
    let sources = Sources { environment, folder: folder.path().to_owned(), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let upstream = &loaded.config.models[0].upstreams[0];
    assert_eq!((upstream.timeouts, upstream.usage), (Timeouts::default(), AskUsage::default()));
    assert_eq!((upstream.weight, upstream.priority), (NonZeroU32::MIN, 0));
    let model = &loaded.config.models[0];
    assert_eq!((model.retries, model.ejection), (Retries::default(), Ejection::default()));
    assert_eq!(model.affinity, Affinity::default());
    assert_eq!(loaded.config.keys[0].scopes, Scopes::default());
    assert_eq!(loaded.config.keys.len(), 3);
    assert_eq!(loaded.config.models.len(), 2);
}

#[test]
fn a_proxy_that_would_apply_to_an_upstream_is_warned_about_without_its_address() {
    let proxy = ("HTTPS_PROXY", "http://user:verysecret@proxy:3128");
    let warnings = |pairs: &[(&str, &str)]| read("", environment(pairs), Flags::default()).unwrap().warnings;
    let expected = "HTTPS_PROXY has no effect: https://api.openai.com/v1 is connected to directly, and so is every other \
                    upstream";
    assert_eq!(warnings(&[proxy, ("OPENAI_API_KEY", "k-0123")]), [expected]);
    assert!(warnings(&[proxy]).is_empty());
    assert!(warnings(&[proxy, ("OPENAI_API_KEY", "k-0123"), ("NO_PROXY", "openai.com")]).is_empty());
}
