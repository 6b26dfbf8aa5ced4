//! Reloads of the executable: SIGHUP, `petstream reload`, and a file that is watched.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use test_support::http::Request;
use test_support::program::{Folder, Outcome, Program};
use test_support::{becomes, soon};

/// A configuration without keys, with the page or without.
fn page(shown: bool) -> String {
    format!("auth: none\npage: {shown}\n")
}

fn write(folder: &Folder, yaml: &str) {
    let beside = folder.path().join("new.yaml");
    std::fs::write(&beside, yaml).unwrap();
    std::fs::rename(beside, folder.path().join("petstream.yaml")).unwrap();
}

async fn status(program: &Program) -> u16 {
    program.ask(&Request::new("GET", "/")).await.status
}

async fn readyz(program: &Program) -> Value {
    let answer = program.ask(&Request::new("GET", "/readyz")).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

async fn metric(program: &Program, series: &str) -> Option<String> {
    let answer = program.ask(&Request::new("GET", "/metrics")).await;
    answer.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
}

fn socket(folder: &Folder) -> PathBuf {
    folder.path().join("petstream.db.control")
}

/// Runs `petstream reload` once the server has its socket.
async fn reload(folder: &Folder) -> Outcome {
    becomes(&true, async || UnixStream::connect(socket(folder)).is_ok()).await;
    folder.run(&["reload"]).await
}

#[tokio::test]
async fn a_hup_reloads_and_a_file_with_errors_changes_nothing() {
    let folder = Folder::with(&page(true));
    let program = folder.start().await;
    assert_eq!(status(&program).await, 200);
    write(&folder, &page(false));
    program.signal("HUP").await;
    becomes(&404, async || status(&program).await).await;
    assert_eq!(readyz(&program).await, json!({"status": "ready"}));
    let success = "petstream_configuration_last_success_timestamp_seconds";
    let since = metric(&program, success).await;

    write(&folder, "auth: none\npage: maybe\nheartbeat: soon\n");
    program.signal("HUP").await;
    let degraded = json!({"status": "ready", "degraded": ["configuration"]});
    becomes(&degraded, async || readyz(&program).await).await;
    assert_eq!(status(&program).await, 404);
    assert_eq!(metric(&program, "petstream_configuration_valid").await.as_deref(), Some("0"));
    let rejected = "petstream_configuration_reloads_total{result=\"rejected\"}";
    assert_eq!(metric(&program, rejected).await.as_deref(), Some("1"));
    assert_eq!(metric(&program, success).await, since);
    let stats = program.ask(&Request::new("GET", "/api/stats")).await.json();
    let errors = stats["configuration"]["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "all of them: {errors:?}");
    assert!(errors[0].as_str().unwrap().starts_with("page: expected true or false"), "{errors:?}");

    write(&folder, &page(true));
    program.signal("HUP").await;
    becomes(&json!({"status": "ready"}), async || readyz(&program).await).await;
    assert_eq!(status(&program).await, 200);
    assert_eq!(metric(&program, "petstream_configuration_valid").await.as_deref(), Some("1"));
    let applied = "petstream_configuration_reloads_total{result=\"applied\"}";
    assert_eq!(metric(&program, applied).await.as_deref(), Some("2"));
    program.stop().await;
}

#[tokio::test]
async fn the_command_reports_the_result_of_the_server() {
    let folder = Folder::with(&page(true));
    let alone = folder.run(&["reload"]).await;
    assert_eq!((alone.code, alone.out.as_str()), (1, ""));
    assert!(alone.err.contains("no server listens at"), "{}", alone.err);
    let program = folder.start().await;
    let unchanged = reload(&folder).await;
    assert_eq!((unchanged.code, unchanged.out.as_str(), unchanged.err.as_str()), (0, "OK\n", ""));

    write(&folder, "auth: keys\npage: false\nthreads: 77\nkeys: [{name: a, key: sk-secret-0123456789}]\n");
    let done = reload(&folder).await;
    assert_eq!((done.code, done.out.as_str()), (0, "OK\nneeds a restart: threads, auth\n"));
    assert_eq!(status(&program).await, 404);

    write(&folder, "page: maybe\nkeys: [{name: a, key: sk secret}]\n");
    let failed = reload(&folder).await;
    let expected = "page: expected true or false, found \"maybe\" (petstream.yaml:1)\n\
                    keys[0].key: the secret has characters other than visible ASCII (a blank, a line break?); correct \
                    it (petstream.yaml:2)\npetstream: the configuration has 2 errors\n";
    assert_eq!((failed.code, failed.out.as_str(), failed.err.as_str()), (64, "", expected));
    assert_eq!(status(&program).await, 404);

    std::fs::remove_file(folder.path().join("petstream.yaml")).unwrap();
    let gone = reload(&folder).await;
    assert_eq!(gone.code, 64);
    assert!(gone.err.starts_with("the configuration file is gone"), "{}", gone.err);
    program.stop().await;
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone_and_is_removed_at_the_end() {
    let folder = Folder::with(&page(true));
    let program = folder.start().await;
    assert_eq!(reload(&folder).await.code, 0);
    let file = std::fs::symlink_metadata(socket(&folder)).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    program.stop().await;
    assert!(!socket(&folder).exists());
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = Folder::with(&page(true));
    let program = folder.start().await;
    assert_eq!(reload(&folder).await.code, 0);
    program.kill().await;
    assert!(socket(&folder).exists());
    let program = folder.start().await;
    assert_eq!(reload(&folder).await.code, 0);
    program.stop().await;

    // Another server has it, and leaves it later.
    let other = UnixListener::bind(socket(&folder)).unwrap();
    let program = folder.start().await;
    assert_eq!(status(&program).await, 200, "it serves without its socket");
    drop(other);
    std::fs::write(folder.path().join("petstream.yaml"), page(false)).unwrap();
    becomes(&0, async || folder.run(&["reload"]).await.code).await;
    assert_eq!(status(&program).await, 404);
    program.stop().await;

    // It is no socket.
    std::fs::write(socket(&folder), "notes").unwrap();
    let program = folder.start().await;
    assert_eq!(status(&program).await, 404);
    program.stop().await;
    assert_eq!(std::fs::read_to_string(socket(&folder)).unwrap(), "notes");
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_others_from_the_socket() {
    let folder = Folder::with("auth: none\ncontrol: {socket: c.sock}\n");
    let program = folder.start().await;
    let path = folder.path().join("c.sock");
    becomes(&true, async || UnixStream::connect(&path).is_ok()).await;
    let _silent: Vec<_> = (0..8).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let done = soon("the reload", folder.run(&["reload"])).await;
    assert_eq!((done.code, done.out.as_str()), (0, "OK\n"), "{}", done.err);
    // A line without an end, and one that is none of the commands.
    for (line, expected) in [("x".repeat(5_000), ""), ("{\"command\":\"stop\"}\n".to_owned(), "an unknown command")] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = soon("the answer", stream.read_to_string(&mut answer)).await;
        assert!(answer.contains(expected) && answer.is_empty() == expected.is_empty(), "{answer}");
    }
    program.stop().await;
}

#[tokio::test]
async fn without_a_socket_the_command_says_what_to_set() {
    let folder = Folder::with("auth: none\ncontrol: {socket: none}\n");
    let program = folder.start().await;
    let refused = folder.run(&["reload"]).await;
    assert_eq!(refused.code, 64);
    assert!(refused.err.contains("control.socket"), "{}", refused.err);
    assert!(!socket(&folder).exists());
    program.stop().await;
}

#[tokio::test]
async fn a_watched_file_is_read_again_when_its_content_changes() {
    let watched = |shown| page(shown) + "reload: watch\n";
    let folder = Folder::new();
    // As Kubernetes mounts a ConfigMap: the file is a link into a folder that is a link.
    let version = |name: &str, yaml: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("petstream.yaml"), yaml).unwrap();
        let link = folder.path().join("next");
        std::os::unix::fs::symlink(name, &link).unwrap();
        std::fs::rename(link, folder.path().join("data")).unwrap();
    };
    version("one", &watched(true));
    std::os::unix::fs::symlink("data/petstream.yaml", folder.path().join("petstream.yaml")).unwrap();
    let program = folder.start().await;
    assert_eq!(status(&program).await, 200);
    version("two", &watched(false));
    becomes(&404, async || status(&program).await).await;
    let applied = "petstream_configuration_reloads_total{result=\"applied\"}";
    assert_eq!(metric(&program, applied).await.as_deref(), Some("1"), "once");
    version("three", "auth: none\nreload: watch\npage: maybe\n");
    let degraded = json!({"status": "ready", "degraded": ["configuration"]});
    becomes(&degraded, async || readyz(&program).await).await;
    version("four", &watched(true));
    becomes(&200, async || status(&program).await).await;
    let rejected = "petstream_configuration_reloads_total{result=\"rejected\"}";
    assert_eq!(metric(&program, rejected).await.as_deref(), Some("1"), "an error is reported once");
    program.stop().await;
}
