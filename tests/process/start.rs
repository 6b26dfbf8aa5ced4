//! The first start, later starts, and starts that fail.

use std::fs::{File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::json;
use sqlx::Connection as _;

use test_support::completion_stream;
use test_support::frames::request;
use test_support::http::{Connection, Request};
use test_support::program::{Folder, LISTENING, Program, executable};
use test_support::{becomes, soon};

const USAGE: i32 = 64;
const FAULT: i32 = 1;

/// The first key, from the output of a server.
fn key_in(printed: &str) -> String {
    let mut keys = printed.lines().map(str::trim).filter(|line| line.starts_with("sk-petstream-"));
    let key = keys.next().unwrap_or_else(|| panic!("no key: {printed}")).to_owned();
    assert_eq!(keys.next(), None, "shown once: {printed}");
    key
}

#[tokio::test]
async fn a_first_start_that_may_print_prints_a_key_and_a_line_that_works() {
    let folder = Folder::new();
    let program = folder.start_with(&["--print-key"]).await;
    let printed = program.printed(|text| text.contains("curl") && text.ends_with("\n\n")).await;
    let line = printed.lines().find(|line| line.trim_start().starts_with("curl ")).unwrap();
    assert!(line.contains(&key_in(&printed)));
    let output = soon("curl", folder.command("sh").args(["-c", line]).output()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let transcript = completion_stream::read(&output.stdout);
    transcript.assert_contract(1, false);
    // The printed example must get an answer, not a refusal.
    let pets = program.ask(&Request::new("GET", "/api/pets?limit=100").bearer(&key_in(&printed))).await.json();
    let names = pets["data"].as_array().unwrap().iter().map(|pet| pet["name"].as_str().unwrap());
    let answer = transcript.text(0);
    assert!(names.into_iter().any(|name| answer.contains(name)), "no pet in {answer:?}");
    program.stop().await;
    assert!(!folder.path().join("petstream.key").exists());
}

/// The text of `petstream.key` in the folder of a server.
fn key_file(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path().join("petstream.key")).unwrap()
}

/// The permissions of a file in the folder of a server.
fn mode(folder: &Folder, name: &str) -> u32 {
    folder.path().join(name).metadata().unwrap().mode() & 0o777
}

async fn status(program: &Program, key: &str) -> u16 {
    program.ask(&Request::new("GET", "/api/pets").bearer(key)).await.status
}

#[tokio::test]
async fn without_a_terminal_the_first_key_is_in_a_file_of_its_owner() {
    for umask in ["000", "777"] {
        let folder = Folder::new();
        let program = folder.start_after(&format!("umask {umask}")).await;
        assert_eq!(status(&program, key_file(&folder).trim_end()).await, 200);
        for name in ["petstream.key", "petstream.db", "petstream.db-wal", "petstream.db-shm"] {
            assert_eq!(mode(&folder, name), 0o600, "{name}, umask {umask}");
        }
        assert_eq!(program.stop().await, "");
    }
}

/// Runs a server without a terminal until it listens; returns its log.
async fn log_of_start(folder: &Folder, arguments: &[&str]) -> String {
    let path = folder.path().join("log");
    let mut command = folder.command(&executable());
    command.args(["--listen", "127.0.0.1:0"]).args(arguments).stderr(File::create(&path).unwrap());
    let mut server = command.spawn().unwrap();
    becomes(&true, async || tokio::fs::read_to_string(&path).await.unwrap().contains(LISTENING)).await;
    server.kill().await.unwrap();
    std::fs::read_to_string(&path).unwrap()
}

#[tokio::test]
async fn the_log_has_the_path_of_the_first_key_and_not_the_key() {
    let folder = Folder::new();
    let database = format!("sqlite:{}", folder.path().join("shop.db").display());
    let log = log_of_start(&folder, &["--database", &database]).await;
    assert!(log.contains(folder.path().join("petstream.key").to_str().unwrap()), "{log}");
    assert!(!log.contains("sk-petstream-"), "{log}");
    assert!(key_file(&folder).starts_with("sk-petstream-"));
}

#[tokio::test]
async fn a_database_in_memory_starts_without_keys_and_says_what_makes_one() {
    let folder = Folder::new();
    let log = log_of_start(&folder, &["--database", "sqlite::memory:"]).await;
    for remedy in ["petstream keys create", "PETSTREAM_API_KEY", "configuration file", "--print-key"] {
        assert!(log.contains(remedy), "{remedy}: {log}");
    }
    assert!(!folder.path().join("petstream.key").exists());
    let program = folder.start_with(&["--database", "sqlite::memory:"]).await;
    let probe = program.ask(&Request::new("GET", "/readyz")).await;
    assert_eq!((probe.status, status(&program, "any-key").await), (200, 401));
    assert_eq!(program.stop().await, "");
    let program = folder.start_with(&["--database", "sqlite::memory:", "--print-key"]).await;
    let printed = program.printed(|text| text.contains("curl")).await;
    assert_eq!(status(&program, &key_in(&printed)).await, 200);
    program.stop().await;
}

#[tokio::test]
async fn a_key_file_of_a_start_that_was_interrupted_becomes_the_first_key() {
    let folder = Folder::new();
    let secret = format!("sk-petstream-{}", "0123456789abcdef".repeat(4));
    std::fs::write(folder.path().join("petstream.key"), &secret).unwrap();
    std::fs::set_permissions(folder.path().join("petstream.key"), Permissions::from_mode(0o600)).unwrap();
    let program = folder.start().await;
    assert_eq!((status(&program, &secret).await, key_file(&folder)), (200, secret));
    program.stop().await;
}

#[tokio::test]
async fn something_else_in_the_place_of_the_key_file() {
    let folder = Folder::with("listen: 127.0.0.1:0\n");
    std::fs::write(folder.path().join("petstream.key"), "something else").unwrap();
    let expected = ["petstream.key: ", "does not hold a key", "move it away", "PETSTREAM_API_KEY", "--print-key"];
    assert_says(&fails(&folder, &[], FAULT).await, &expected);
    assert_eq!(key_file(&folder), "something else");
    // No key was made that nobody has seen.
    std::fs::remove_file(folder.path().join("petstream.key")).unwrap();
    let program = folder.start().await;
    assert_eq!(status(&program, key_file(&folder).trim_end()).await, 200);
    program.stop().await;
}

#[tokio::test]
async fn a_start_that_fails_makes_no_key() {
    // A label of a name is 63 characters long at most.
    let host = "x".repeat(64);
    let folder = Folder::with(&format!("models: [{{name: m, upstreams: [{{base_url: 'https://{host}/v1'}}]}}]\n"));
    fails(&folder, &["--listen", "127.0.0.1:0", "--print-key"], FAULT).await;
    let keys = folder.run(&["keys", "list", "--json"]).await;
    assert_eq!(keys.out.trim_end(), "[]");
}

#[tokio::test]
async fn keys_and_pets_outlive_a_restart() {
    let folder = Folder::new();
    let program = folder.start().await;
    let key = key_file(&folder).trim_end().to_owned();
    let made = folder.run(&["keys", "create", "--name", "alice"]).await;
    assert_eq!(made.code, 0, "{}", made.err);
    let keys = [key.as_str(), made.out.trim_end()];
    let pets = |key: &str| Request::new("GET", "/api/pets?limit=100").bearer(key);
    let before = program.ask(&pets(keys[0])).await;
    assert_eq!(before.status, 200);
    assert!(!before.json()["data"].as_array().unwrap().is_empty());
    program.stop().await;

    let program = folder.start().await;
    for key in keys {
        let after = program.ask(&pets(key)).await;
        assert_eq!((after.status, after.json()["data"].clone()), (200, before.json()["data"].clone()));
    }
    assert_eq!(program.stop().await, "", "there is a key, and its secret is shown never again");
}

#[tokio::test]
async fn with_configured_keys_no_first_key_is_created() {
    let folder = Folder::with("keys: [{name: alice, key: sk-alice-0123456789}]\n");
    let program = folder.start().await;
    let ask = Request::chat(&request(&json!({"model": "petstore-ai"}))).bearer("sk-alice-0123456789");
    assert_eq!(program.ask(&ask).await.status, 200);
    assert_eq!(program.stop().await, "");
}

/// Starts a server that must fail with `code`; returns its message.
async fn fails(folder: &Folder, arguments: &[&str], code: i32) -> String {
    let outcome = folder.run(arguments).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (code, ""), "{}", outcome.err);
    outcome.err
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    let last = said.lines().last().unwrap_or_default();
    for part in parts {
        assert!(last.contains(part), "{part:?} is not in {last:?}");
    }
}

#[tokio::test]
async fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::with(&format!("listen: {address}\n"));
    let expected = ["listen: ", &address, "in use", "--listen"];
    assert_says(&fails(&folder, &[], FAULT).await, &expected);
    assert_says(&fails(&Folder::new(), &["--listen", &address], FAULT).await, &expected);
    assert!(!folder.path().join("petstream.db").exists(), "nothing is begun that can't be used");

    let folder = Folder::with(&format!("listen: 127.0.0.1:0\nmetrics: {{listen: '{address}'}}\n"));
    assert_says(&fails(&folder, &[], FAULT).await, &["metrics.listen: ", &address, "in use", "another address"]);
}

#[tokio::test]
async fn a_folder_that_is_not_there() {
    let folder = Folder::with("listen: 127.0.0.1:0\ndatabase: sqlite:no/such/folder/p.db\n");
    assert_says(&fails(&folder, &[], FAULT).await, &["database: ", "no/such/folder", "does not exist", "create it"]);
}

#[tokio::test]
async fn a_file_that_is_not_a_database() {
    let folder = Folder::with("listen: 127.0.0.1:0\n");
    std::fs::write(folder.path().join("petstream.db"), "this is no database, whatever its name says\n".repeat(50))
        .unwrap();
    let expected = ["database: petstream.db: ", "not a database", "choose another path", "petstream restore"];
    assert_says(&fails(&folder, &[], FAULT).await, &expected);
}

#[tokio::test]
async fn a_database_that_is_a_folder() {
    let folder = Folder::with("listen: 127.0.0.1:0\n");
    std::fs::create_dir(folder.path().join("petstream.db")).unwrap();
    let expected = ["database: petstream.db: ", "unable to open", "let this user read and write", "another path"];
    assert_says(&fails(&folder, &[], FAULT).await, &expected);
}

#[tokio::test]
async fn a_database_of_a_newer_version() {
    let folder = Folder::with("listen: 127.0.0.1:0\n");
    folder.start().await.stop().await;
    let mut connection = sqlx::SqliteConnection::connect(&folder.database()).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations SELECT version + 1000, description, installed_on, success, checksum, \
                 execution_time FROM _sqlx_migrations ORDER BY version DESC LIMIT 1";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let expected = ["database: petstream.db: ", "a newer version of petstream", "run that version"];
    assert_says(&fails(&folder, &[], FAULT).await, &expected);
}

#[tokio::test]
async fn a_database_whose_rows_cannot_be_read() {
    let folder = Folder::with("listen: 127.0.0.1:0\n");
    folder.start().await.stop().await;
    let mut connection = sqlx::SqliteConnection::connect(&folder.database()).await.unwrap();
    sqlx::query("UPDATE api_keys SET hash = 'nonsense'").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let expected = ["database: ", "can't be read", "in sqlite:petstream.db", "petstream restore"];
    assert_says(&fails(&folder, &[], FAULT).await, &expected);
}

#[tokio::test]
async fn a_file_with_mistakes() {
    let folder = Folder::with("auth: keys\nlisten: 127.0.0.1:0\ndrain: 5\nhartbeat: 1s\n");
    let said = fails(&folder, &[], USAGE).await;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    for (line, parts) in lines.iter().zip([
        ["drain: ", "expected a duration", "(petstream.yaml:3)"],
        ["hartbeat: ", "did you mean heartbeat", "(petstream.yaml:4)"],
        ["petstream: ", "2 errors", ""],
    ]) {
        parts.iter().for_each(|part| assert!(line.contains(part), "{part:?} is not in {line:?}"));
    }
    assert!(!folder.path().join("petstream.db").exists());
}

#[tokio::test]
async fn a_low_limit_of_open_files_is_raised() {
    const CONNECTIONS: usize = 300;
    // Connections stay open and idle.
    let folder = Folder::with("auth: none\nlimits: {connections: 400, header_read: 1h}\n");
    let program = folder.start_after("ulimit -Sn 100").await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(program.address).await;
        assert_eq!(connection.ask(&Request::new("GET", "/healthz")).await.whole().await.status, 200);
        connections.push(connection);
    }
    drop(connections);
    program.stop().await;
}

#[tokio::test]
async fn a_file_limit_that_cannot_be_raised_does_not_prevent_the_start() {
    let folder = Folder::with("auth: none\n");
    let program = folder.start_after("ulimit -n 100").await;
    let ask = Request::chat(&request(&json!({"model": "petstore-ai"})));
    assert_eq!(program.ask(&ask).await.status, 200);
    program.stop().await;
}

#[tokio::test]
async fn connections_leave_the_server_its_own_file_descriptors() {
    let folder = Folder::with("auth: none\nlimits: {header_read: 1h}\n");
    let program = folder.start_after("ulimit -n 100").await;
    // More than the limit: those beyond wait until others close.
    let mut held = Vec::new();
    for _ in 0..150 {
        held.push(Connection::open(program.address).await);
    }
    // Reads the database, which takes a file descriptor.
    let readyz = Request::new("GET", "/readyz");
    held[0].send(&readyz).await;
    assert_eq!(held[0].answer().await.whole().await.status, 200);
    let mut late = held.pop().unwrap();
    late.send(&readyz).await;
    drop(held);
    assert_eq!(late.answer().await.whole().await.status, 200);
    program.stop().await;
}
