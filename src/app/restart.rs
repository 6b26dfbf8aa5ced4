//! The settings that only a restart changes: they are compared with those of the running server, and kept.

use crate::config::{Config, ListenConfig};

/// Replaces the settings of `new` that need a restart by those of `running`; returns the names of those that differ.
pub(super) fn keep_hard_settings(running: &Config, new: &mut Config) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut keep = |name, differs| {
        if differs {
            names.push(name);
        }
    };
    let is_same_listener = is_same_listener(&running.listen, &new.listen);
    keep("listen", !is_same_listener);
    keep("threads", running.threads != new.threads);
    keep("database", running.database != new.database);
    keep("redis", running.redis != new.redis);
    keep("auth", running.auth != new.auth);
    keep("log_format", running.log_format != new.log_format);
    keep("metrics.listen", running.metrics_listen != new.metrics_listen);
    keep("limits.connections", running.limits.connections != new.limits.connections);
    keep("control.socket", running.control != new.control);
    if !is_same_listener {
        new.listen.clone_from(&running.listen);
    }
    new.listen_is_default = running.listen_is_default;
    new.threads = running.threads;
    new.database.clone_from(&running.database);
    new.redis.clone_from(&running.redis);
    new.auth = running.auth;
    new.log_format = running.log_format;
    new.metrics_listen = running.metrics_listen;
    new.limits.connections = running.limits.connections;
    new.control = running.control.clone();
    names
}

/// Whether the listeners differ in the files of their certificates at most, which can be replaced.
fn is_same_listener(running: &[ListenConfig], new: &[ListenConfig]) -> bool {
    let without_files =
        |listener: &ListenConfig| (listener.tls.is_some(), ListenConfig { tls: None, ..listener.clone() });
    running.iter().map(without_files).eq(new.iter().map(without_files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, ControlSocket, Database, ListenAddress, LogFormat, RedisConfig};

    #[test]
    fn each_hard_setting_is_named_and_kept_and_the_others_are_taken() {
        let running = Config::default();
        let mut new = Config { page: false, ..Config::default() };
        assert_eq!(keep_hard_settings(&running, &mut new), [""; 0]);
        new.listen = vec![ListenConfig::new(ListenAddress::Unix("p.sock".into()))];
        new.threads = std::num::NonZeroUsize::new(1_000).unwrap();
        new.database = Database::at("sqlite:other.db");
        new.redis = Some(RedisConfig::new("redis://:secret@h".parse().unwrap()));
        new.auth = Auth::None;
        new.log_format = LogFormat::Json;
        new.metrics_listen = Some(([127, 0, 0, 1], 2).into());
        new.limits.connections = 7;
        new.limits.body = 77_777;
        new.control = ControlSocket::None;
        let names = keep_hard_settings(&running, &mut new);
        let expected = [
            "listen",
            "threads",
            "database",
            "redis",
            "auth",
            "log_format",
            "metrics.listen",
            "limits.connections",
            "control.socket",
        ];
        assert_eq!(names, expected);
        assert_eq!(keep_hard_settings(&running, &mut new), [""; 0]);
        assert_eq!((new.page, new.limits.body), (false, 77_777));
    }
}
