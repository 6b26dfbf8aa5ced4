//! The command line: commands, their output, exit codes.

#![expect(clippy::unwrap_used, reason = "a panic is how a test's own helpers fail")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const USAGE: i32 = 64;
const FAULT: i32 = 1;

/// A working folder, and an empty environment.
struct Shell {
    folder: TempDir,
    variables: Vec<(&'static str, &'static str)>,
}

struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Shell {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: Vec::new() }
    }

    fn with(variables: &[(&'static str, &'static str)]) -> Self {
        Self { variables: variables.to_vec(), ..Self::new() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_petstream"));
        command.args(arguments).current_dir(self.path()).env_clear().envs(self.variables.iter().copied());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    /// Runs a command, which must succeed and print JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        let answer = self.run(arguments);
        assert_eq!(answer.code, 0, "{}", answer.err);
        serde_json::from_str(&answer.out).unwrap()
    }
}

#[test]
fn check_accepts_an_empty_folder() {
    let answer = Shell::new().run(&["check"]);
    assert_eq!(
        (answer.code, answer.out.as_str(), answer.err.as_str()),
        (0, "OK (no file, defaults and environment)\n", "")
    );
}

#[test]
fn check_reports_every_error_at_once_and_exits_64() {
    let shell = Shell::with(&[("PETSTREAM_LISTEN", "nowhere"), ("PETSTREAM_API_KEY", "abc")]);
    shell.write("petstream.yaml", "lisen: x\nmodels:\n  - name: m\n    upstreams:\n      - base_url: ${NO_SUCH}\n");
    let answer = shell.run(&["check", "--log-format", "xml"]);
    assert_eq!(answer.code, USAGE);
    assert_eq!(answer.out, "");
    let expected = [
        "lisen: unknown key; did you mean listen? (petstream.yaml:1)",
        "models[0].upstreams[0].base_url: the environment variable NO_SUCH is not set; set it or remove ${NO_SUCH} \
         (petstream.yaml:5)",
        "PETSTREAM_LISTEN: expected ADDRESS:PORT such as 127.0.0.1:4000 or [::1]:4000, unix:PATH, or systemd, found \"nowhere\" (environment)",
        "--log-format: expected one of auto, text, json, found \"xml\" (command line)",
        "PETSTREAM_API_KEY: key 1: the secret is shorter than 4 characters; `petstream keys create` makes a good one \
         (environment)",
        "petstream: the configuration has 5 errors",
    ];
    assert_eq!(answer.err.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn check_prints_warnings_and_names_the_file() {
    let shell = Shell::with(&[("UPSTREAM_KEY", "verysecret")]);
    shell.write(
        "other.yaml",
        "models: [{name: m, upstreams: [{base_url: 'http://10.0.0.7/v1', api_key: '${UPSTREAM_KEY}'}]}]\n",
    );
    let answer = shell.run(&["--config", "other.yaml", "check"]);
    assert_eq!((answer.code, answer.out.as_str()), (0, "OK (other.yaml)\n"));
    assert!(
        answer.err.starts_with("warning: model \"m\", upstream 1: the API key is sent unencrypted"),
        "{}",
        answer.err
    );
    assert!(!answer.err.contains("verysecret"));
}

#[test]
fn config_prints_a_file_that_check_accepts() {
    let shell = Shell::new();
    let answer = shell.run(&["config"]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert_eq!(answer.out, include_str!("../deploy/petstream.yaml"));
    shell.write("petstream.yaml", &answer.out);
    assert_eq!(shell.run(&["check"]).out, "OK (petstream.yaml)\n");
}

#[test]
fn a_closed_output_pipe_is_not_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Shell::new().command(&["config"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn wrong_usage_exits_64_and_help_does_not() {
    let shell = Shell::new();
    for wrong in [
        &["frobnicate"][..],
        &["--listen"],
        &["keys"],
        &["keys", "create"],
        &["keys", "create", "--name", ""],
        &["keys", "create", "--name", "k", "--expires", "2001-01-01"],
        &["keys", "create", "--name", "k", "--scopes", "everything"],
        &["keys", "create", "--name", "k", "--requests-per-minute", "0"],
        &["keys", "list", "--database", "sqlite::memory:"],
        &["serve", "--listen", "nowhere"],
        &["--config", "no-such-file.yaml"],
    ] {
        let answer = shell.run(wrong);
        assert_eq!(answer.code, USAGE, "{wrong:?}: {}", answer.err);
        assert!(!answer.err.is_empty() && answer.out.is_empty(), "{wrong:?}");
    }
    assert!(!shell.path().join("petstream.db").exists());
    let help = shell.run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("PETSTREAM_API_KEY"));
    assert_eq!(shell.run(&["--version"]).out, concat!("petstream ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Answers one connection with this status line and JSON; returns what was received.
fn answer_once(mut socket: impl Read + Write, status: &str, json: &str) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}", json.len());
    socket.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(head).unwrap()
}

#[test]
fn healthcheck_asks_the_listener_of_the_configuration_for_readyz() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        [("200 OK", r#"{"status":"ready"}"#), ("503 Service Unavailable", r#"{"reason":"shutting down"}"#)]
            .map(|(status, json)| answer_once(listener.accept().unwrap().0, status, json))
    });
    let shell = Shell::new();
    shell.write("petstream.yaml", &format!("listen: 0.0.0.0:{}\n", address.port()));
    let ready = shell.run(&["healthcheck"]);
    assert_eq!((ready.code, ready.out.as_str(), ready.err.as_str()), (0, "", ""));
    // The proxy does not exist: the check does not use one.
    let shell = Shell::with(&[("HTTP_PROXY", "http://127.0.0.1:9"), ("http_proxy", "http://127.0.0.1:9")]);
    let draining = shell.run(&["healthcheck", "--listen", &address.to_string()]);
    assert_eq!(
        (draining.code, draining.out.as_str(), draining.err.as_str()),
        (FAULT, "", "petstream: not ready: 503 Service Unavailable: shutting down\n")
    );
    let received = server.join().unwrap();
    assert!(received.iter().all(|head| head.starts_with("GET /readyz HTTP/1.1\r\n")), "{received:?}");
}

#[test]
fn healthcheck_asks_a_socket_of_the_file_system() {
    let shell = Shell::new();
    let listener = UnixListener::bind(shell.path().join("p.sock")).unwrap();
    let server = std::thread::spawn(move || answer_once(listener.accept().unwrap().0, "200 OK", "{}"));
    let answer = shell.run(&["healthcheck", "--url", "unix:p.sock"]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
    let answer = shell.run(&["healthcheck", "--url", "unix:no.sock"]);
    assert_eq!(answer.code, FAULT);
    assert!(answer.err.starts_with("petstream: no answer: ") && answer.err.lines().count() == 1, "{}", answer.err);
}

#[test]
fn healthcheck_fails_with_one_line_where_no_server_answers() {
    let shell = Shell::new();
    // It accepts connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    shell.write("wrong.yaml", "lisen: x\nauth: maybe\n");
    for (arguments, expected) in [
        (&["--url", silent.as_str()][..], "no answer in 2 s"),
        (&["--listen", "127.0.0.1:1"], "no answer: "),
        (&["--listen", "127.0.0.1:0"], "no listener of the configuration can be asked"),
        (&["--config", "wrong.yaml"], "the configuration has errors"),
    ] {
        let answer = shell.run(&[&["healthcheck"], arguments].concat());
        assert_eq!((answer.code, answer.out.as_str()), (FAULT, ""), "{arguments:?}");
        assert!(answer.err.starts_with(&format!("petstream: {expected}")), "{arguments:?}: {}", answer.err);
        assert_eq!(answer.err.lines().count(), 1, "{}", answer.err);
    }
    assert_eq!(shell.run(&["healthcheck", "--url", "nowhere"]).code, USAGE);
}

#[test]
fn completions_name_the_commands_in_the_language_of_each_shell() {
    let shell = Shell::new();
    for (name, sign) in [
        ("bash", "complete -F _petstream"),
        ("zsh", "#compdef petstream"),
        ("fish", "complete -c petstream"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let answer = shell.run(&["completions", name]);
        assert_eq!((answer.code, answer.err.as_str()), (0, ""));
        for text in [sign, "healthcheck", "log-format", "requests-per-minute"] {
            assert!(answer.out.contains(text), "{name}: {text}");
        }
    }
    let script = shell.run(&["completions", "bash"]).out;
    let ask = "COMP_WORDS=(petstream he) COMP_CWORD=1\n_petstream petstream he petstream\necho \"${COMPREPLY[@]}\"\n";
    shell.write("script", &format!("{script}\n{ask}"));
    let output = Command::new("bash").args(["--norc", "script"]).current_dir(shell.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "healthcheck help\n");
    assert_eq!(shell.run(&["completions", "tcl"]).code, USAGE);
}

#[test]
fn man_prints_a_page_of_the_program_or_of_a_command() {
    let shell = Shell::new();
    let page = shell.run(&["man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    for text in [".TH petstream 1", ".SH NAME", "\\-\\-listen", "PETSTREAM_API_KEY", "petstream\\-healthcheck(1)"] {
        assert!(page.out.contains(text), "{text}: {}", page.out);
    }
    let page = shell.run(&["man", "keys", "create"]).out;
    assert!(page.contains(".TH petstream-keys-create 1") && page.contains("\\-\\-scopes"), "{page}");
    assert_eq!(shell.run(&["man", "frobnicate"]).code, USAGE);
}

#[test]
fn a_database_that_cannot_be_opened_is_a_fault() {
    let answer = Shell::new().run(&["keys", "list", "--database", "sqlite:no/such/folder/p.db"]);
    assert_eq!(answer.code, FAULT);
    assert!(answer.err.contains("no/such/folder"), "{}", answer.err);
}

#[test]
fn a_key_is_made_with_its_secret_alone_on_stdout_and_shown_never_again() {
    let shell = Shell::new();
    let made = shell.run(&["keys", "create", "--name", "alice"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let secret = made.out.trim_end();
    assert!(secret.starts_with("sk-petstream-") && secret.len() == "sk-petstream-".len() + 64, "{secret}");
    assert!(made.err.contains("alice") && !made.err.contains(secret));
    for arguments in [&["keys", "list"][..], &["keys", "list", "--json"]] {
        let listed = shell.run(arguments).out;
        assert!(listed.contains("alice") && !listed.contains(secret), "{listed}");
    }
    let hash = petstream::wire::api_key::KeyHash::of(secret).to_hex();
    let database = std::fs::read(shell.path().join("petstream.db")).unwrap();
    let holds = |text: &str| database.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&hash) && !holds(secret));
}

#[test]
fn scopes_of_a_key_are_stored_and_listed() {
    let shell = Shell::with(&[("PETSTREAM_DATABASE", "sqlite:keys.db")]);
    let arguments = [
        "keys",
        "create",
        "--name",
        "bob",
        "--expires",
        "2999-01-01",
        "--models",
        "a,b",
        "--scopes",
        "chat,stats",
        "--requests-per-minute",
        "60",
        "--tokens-per-minute",
        "5000",
        "--concurrent-streams",
        "3",
        "--json",
    ];
    let made = shell.json(&arguments);
    assert!(made["secret"].as_str().unwrap().starts_with("sk-petstream-"));
    let listed = shell.json(&["keys", "list", "--json"]);
    let key = &listed[0];
    assert_eq!(key["id"], made["id"]);
    assert_eq!(key["secret"], Value::Null);
    assert_eq!(key["models"], serde_json::json!(["a", "b"]));
    assert_eq!(key["scopes"], serde_json::json!(["chat", "stats"]));
    assert_eq!(key["expires_at"], "2999-01-01T00:00:00Z");
    let limits = serde_json::json!({"requests_per_minute": 60, "tokens_per_minute": 5000, "concurrent_streams": 3});
    assert_eq!(key["limits"], limits);
}

#[test]
fn a_key_is_revoked_by_name_or_id_and_its_name_stays_taken() {
    let shell = Shell::new();
    let id = shell.json(&["keys", "create", "--name", "one", "--json"])["id"].as_str().unwrap().to_owned();
    shell.json(&["keys", "create", "--name", "two", "--json"]);
    let again = shell.run(&["keys", "create", "--name", "one"]);
    assert_eq!((again.code, again.out.as_str()), (USAGE, ""));
    for key in [id.as_str(), "two", "two"] {
        let answer = shell.run(&["keys", "revoke", key]);
        assert_eq!((answer.code, answer.out.as_str()), (0, ""), "{}", answer.err);
    }
    assert_eq!(shell.run(&["keys", "revoke", "three"]).code, USAGE);
    assert_eq!(shell.run(&["keys", "create", "--name", "two"]).code, USAGE);
    let listed = shell.json(&["keys", "list", "--json"]);
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["revoked", "revoked"]);
}

#[test]
fn a_name_of_the_configuration_is_taken_and_its_other_errors_do_not_matter() {
    let shell = Shell::new();
    shell.write(
        "petstream.yaml",
        "database: sqlite:here.db\nkeys: [{name: alice, key: 0123456789-abcdef}, {name: bob, key: '${NO_SUCH}'}]\n",
    );
    let taken = shell.run(&["keys", "create", "--name", "alice"]);
    assert_eq!(taken.code, USAGE);
    assert!(taken.err.contains("the configuration has a key named"), "{}", taken.err);
    assert_eq!(shell.run(&["keys", "create", "--name", "carol"]).code, 0);
    assert!(shell.path().join("here.db").exists());
}
