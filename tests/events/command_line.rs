//! The `events` commands of the binary, and `restore`.

use sqlx::Connection as _;
use std::path::Path;
use std::process::Stdio;

use petstream::store::Store;
use petstream::store::event_log::EventLog;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::shop::{OPEN, Shop};
use test_support::soon;

const KEY: &str = "key-0123456789abcdef";

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petstream"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = soon("the command", command(folder, arguments).output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

struct Printed {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Printed {
    fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn next(&mut self) -> Value {
        let Some(line) = soon("a line", self.lines.next_line()).await.unwrap() else {
            panic!("no line, but an end: {:?}", self.child.wait().await)
        };
        serde_json::from_str(&line).unwrap()
    }
}

#[tokio::test]
async fn events_are_printed_as_lines_from_any_cursor() {
    let shop = Shop::open(&format!("keys: [{{name: k, key: {KEY}}}]\nevents: {{retry: 100ms}}\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", shop.address);
    let kinds = [petstream::wire::event::EventKind::Notification, petstream::wire::event::EventKind::OrderCreated];
    let events = kinds.map(|kind| petstream::store::event_log::NewEvent {
        kind,
        id: "x".into(),
        version: 1,
        resource: None,
        old: None,
        new: None,
    });
    shop.log.append_alone(&events).await.unwrap();
    let arguments = ["events", "--topics", "orders,notifications", "--from", "earliest", "--url", &url];
    let mut printed = Printed::new({
        let mut command = command(folder.path(), &arguments);
        command.env("PETSTREAM_API_KEY", format!("{KEY},other"));
        command
    });
    let first = printed.next().await;
    assert_eq!((&first["event"], &first["data"]["prev"]), (&json!("notification"), &json!(0)));
    let second = printed.next().await;
    assert_eq!((&second["event"], &second["data"]["prev"]), (&json!("order-created"), &json!(1)));
    assert_eq!(second["id"], shop.id(2).await);
    // Then live events, and a reset as a line of its own.
    shop.log.append_alone(&events[..1]).await.unwrap();
    assert_eq!(printed.next().await["data"]["prev"], 2);
    shop.log.rotate_epoch().await.unwrap();
    assert_eq!(printed.next().await["event"], "stream-reset");
    drop(printed.lines);
    shop.log.append_alone(&events).await.unwrap();
    let ended = soon("the command to notice that nobody reads", printed.child.wait()).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_broken_stream_is_resumed_after_its_last_event() {
    // A server of the test: each connection is one attempt, whose request is reported.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut printed = Printed::new(command(folder.path(), &["events", "--url", &url, "--key", KEY]));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 10\n\n";
    let attempts = [
        ("HTTP/1.1 503 Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n".to_owned(), None),
        (
            format!("{head}id: e.1\nevent: connected\ndata: {{}}\n\nid: e.2\nevent: pet-update\ndata: {{\"a\":1}}\n\n"),
            None,
        ),
        (format!("{head}id: e.7\n\nid: e.8\nevent: torn\ndata: {{"), Some("e.2")),
        (format!("{head}id: e.9\nevent: stream-reset\ndata: {{}}\n\n"), Some("e.7")),
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno".to_owned(), Some("e.9")),
    ];
    for (answer, last_id) in attempts {
        let (mut stream, _) = soon("an attempt", listener.accept()).await.unwrap();
        let mut lines = BufReader::new(&mut stream).lines();
        let mut seen = Vec::new();
        while let Some(line) = soon("a request", lines.next_line()).await.unwrap().filter(|line| !line.is_empty()) {
            seen.push(line.to_ascii_lowercase());
        }
        assert_eq!(seen[0], "get /api/events http/1.1");
        assert!(seen.contains(&format!("authorization: bearer {KEY}")));
        assert!(seen.contains(&"accept: text/event-stream".to_owned()));
        let sent = seen.iter().find_map(|line| line.strip_prefix("last-event-id: "));
        assert_eq!(sent, last_id);
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
    }
    assert_eq!(printed.next().await, json!({"id": "e.2", "event": "pet-update", "data": {"a": 1}}));
    assert_eq!(printed.next().await, json!({"id": "e.9", "event": "stream-reset", "data": {}}));
    let ended = soon("the command to give up", printed.child.wait()).await.unwrap();
    assert_eq!(ended.code(), Some(1), "what is refused for good is not asked again");
}

#[tokio::test]
async fn restore_requires_a_stopped_server_and_resets_old_cursors() {
    let shop = Shop::open_on_sqlite(OPEN).await;
    shop.pet().await;
    let (url, cursor, head) = (shop.database(), shop.id(shop.head().await).await, shop.head().await);
    let backup = tempfile::tempdir().unwrap();
    let file = backup.path().join("backup.db");
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("VACUUM INTO ?").bind(file.to_str().unwrap()).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    shop.pet().await;
    let restore = ["restore", file.to_str().unwrap(), "--database", &url];
    let (code, _, err) = run(backup.path(), &restore).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("is in use; stop the server first"), "{err}");
    let folder = shop.stopped().await;
    let (code, out, err) = run(backup.path(), &restore).await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    let (code, _, err) = run(backup.path(), &["restore", "no-such-file", "--database", &url]).await;
    assert_eq!(code, Some(64), "{err}");

    let store = Store::open(&url).await.unwrap();
    let at = EventLog::new(store.clone()).position().await.unwrap();
    assert_eq!(at.head, head, "the second pet is gone");
    assert_ne!(at.epoch.as_str(), cursor.split('.').next().unwrap(), "and its numbers will be given out again");
    store.close().await;
    let (code, out, _) = run(backup.path(), &["epoch", "rotate", "--database", &url]).await;
    assert_eq!(code, Some(0));
    let store = Store::open(&url).await.unwrap();
    let epoch = EventLog::new(store.clone()).position().await.unwrap().epoch;
    assert!(epoch != at.epoch && out == format!("{}\n", epoch.as_str()));
    drop(folder);
}
