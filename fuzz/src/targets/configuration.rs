//! Configuration files: reading never panics, every error has a line of the file, and none contains the value of a
//! variable; the settings that are read show it only in places that are public.

use petstream::config::fuzzing::read;
use petstream::config::{AllowOrigins, Config, ControlSocket, Environment, ListenAddress, Origin};

const SECRET: &str = "this-is-never-printed-0123456789";

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    let (config, errors) = read(text, &environment);
    // YAML's line ends are CR, LF and CR LF; the last counts twice here, which only makes the bound larger.
    let lines = text.split(['\r', '\n']).count() as u64;
    for error in &errors {
        let Origin::File { line: Some(line), .. } = error.origin else { panic!("no line: {error}") };
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {error}");
        assert!(!error.to_string().contains(SECRET), "a secret is printed: {error}");
    }
    let printed = public_texts(&config)
        .iter()
        .filter(|text| text.contains(SECRET))
        .fold(format!("{config:?}"), |printed, text| printed.replace(text, ""));
    assert!(!printed.contains(SECRET), "a secret is printed: {printed}");
}

/// The texts of settings that are shown in logs, metrics or answers, as `Debug` prints them: a variable there is no
/// secret.
fn public_texts(config: &Config) -> Vec<String> {
    let mut texts = vec![format!("{:?}", config.public_path), format!("{:?}", config.database)];
    for listener in &config.listen {
        texts.push(format!("{:?}", listener.owner));
        match &listener.address {
            ListenAddress::Unix(path) => texts.push(format!("{path:?}")),
            ListenAddress::Systemd(name) => texts.push(format!("{name:?}")),
            ListenAddress::Tcp(_) => {}
        }
    }
    for key in &config.keys {
        texts.push(format!("{:?}", key.name));
        texts.extend(key.models.iter().flatten().map(|model| format!("{model:?}")));
    }
    for model in &config.models {
        texts.push(format!("{:?}", model.name));
        for upstream in &model.upstreams {
            texts.extend([format!("{:?}", upstream.model), format!("{:?}", upstream.base_url)]);
        }
    }
    if let AllowOrigins::These(origins) = &config.allow_origins {
        texts.extend(origins.iter().map(|origin| format!("{origin:?}")));
    }
    if let ControlSocket::At(path) = &config.control {
        texts.push(format!("{path:?}"));
    }
    texts.extend(config.redis.iter().map(|redis| format!("{:?}", redis.prefix)));
    texts
}
