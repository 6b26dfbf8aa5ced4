//! The command `petstream usage`, on a prepared database.

#![expect(clippy::unwrap_used, reason = "a panic is how a test's own helpers fail")]

use sqlx::Connection as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use petstream::store::Store;
use petstream::telemetry::record::{Source, Terminal};
use petstream::usage::{UsageRecord, UsageRecorder};
use petstream::wire::operation::Operation;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const USAGE: i32 = 64;
const FAULT: i32 = 1;

/// A working folder with a database, and usage records written by the code of the server.
struct Shop {
    folder: TempDir,
}

struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Shop {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    async fn with(entries: Vec<UsageRecord>) -> Self {
        let shop = Self::new();
        let store = shop.open().await;
        record(&store, entries).await;
        store.close().await;
        shop
    }

    async fn open(&self) -> Store {
        Store::open(&format!("sqlite:{}", self.folder.path().join("petstream.db").display())).await.unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_petstream"));
        command.arg("usage").args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    fn table(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        assert_eq!((answer.code, answer.err.as_str()), (0, ""));
        answer.out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.table(&[arguments, &["--json"]].concat())).unwrap()
    }
}

async fn record(store: &Store, entries: Vec<UsageRecord>) {
    let (usage_recorder, writer) = UsageRecorder::new(store.clone(), None);
    entries.into_iter().for_each(|entry| usage_recorder.record(entry));
    // Ends when all records are written.
    drop(usage_recorder);
    writer.run(CancellationToken::new()).await;
}

fn entry(at: &str, key: &str, model: &str) -> UsageRecord {
    UsageRecord {
        at: at.parse().unwrap(),
        request_id: None,
        key_id: format!("config:{key}").into(),
        key: key.into(),
        operation: Operation::Chat,
        model: model.into(),
        target: Some("t".into()),
        attempts: 1,
        streamed: true,
        prompt_tokens: 100,
        completion_tokens: 20,
        source: Some(Source::Exact),
        first_token: None,
        duration: Duration::from_secs(1),
        terminal: Terminal::Completed,
        reason: None,
        status: 200,
        answered: None,
    }
}

/// Records with two keys, two models, two days and every terminal state.
fn some() -> Vec<UsageRecord> {
    let reason = Some("upstream_closed".into());
    vec![
        entry("2026-01-31T23:59:59.999Z", "alice", "gpt-5"),
        entry("2026-02-01T00:00:00Z", "alice", "gpt-5"),
        UsageRecord {
            terminal: Terminal::Failed,
            reason,
            source: Some(Source::Running),
            ..entry("2026-02-01T12:00:00Z", "alice", "gpt-5")
        },
        UsageRecord {
            terminal: Terminal::ClientGone,
            source: Some(Source::Counted),
            completion_tokens: 12_345,
            ..entry("2026-02-01T12:00:00Z", "bob", "petstore-ai")
        },
        UsageRecord { source: Some(Source::Estimated), ..entry("2026-02-01T13:00:00Z", "bob", "petstore-ai") },
    ]
}

#[tokio::test]
async fn a_table_has_a_line_for_each_key_model_and_day_and_a_total() {
    let shop = Shop::with(some()).await;
    let expected = "\
KEY    MODEL        DAY         REQUESTS  FAILED  CLIENT GONE  PROMPT TOKENS  COMPLETION TOKENS  EXACT  RUNNING  COUNTED  ESTIMATED
alice  gpt-5        2026-01-31         1       0            0            100                 20      1        0        0          0
alice  gpt-5        2026-02-01         2       1            0            200                 40      1        1        0          0
bob    petstore-ai  2026-02-01         2       0            1            200              12365      0        0        1          1
TOTAL                                  5       1            1            500              12425      2        1        1          1
";
    assert_eq!(shop.table(&[]), expected);
}

#[tokio::test]
async fn operations_are_groups_of_their_own() {
    let embeddings = UsageRecord {
        operation: Operation::Embeddings,
        completion_tokens: 0,
        ..entry("2026-02-01T12:00:00Z", "bob", "e")
    };
    let shop = Shop::with(some().into_iter().chain([embeddings]).collect()).await;
    let expected = "\
OPERATION   REQUESTS  FAILED  CLIENT GONE  PROMPT TOKENS  COMPLETION TOKENS  EXACT  RUNNING  COUNTED  ESTIMATED
chat               5       1            1            500              12425      2        1        1          1
embeddings         1       0            0            100                  0      1        0        0          0
TOTAL              6       1            1            600              12425      3        1        1          1
";
    assert_eq!(shop.table(&["--by", "operation"]), expected);
    let json = shop.json(&["--by", "operation"]);
    let groups = json["data"].as_array().unwrap();
    let operations: Vec<&Value> = groups.iter().map(|group| &group["operation"]).collect();
    assert_eq!(operations, ["chat", "embeddings"]);
}

#[tokio::test]
async fn json_output_has_the_same_numbers() {
    let shop = Shop::with(some()).await;
    let answer = shop.json(&[]);
    let bob = json!({
        "key_id": "config:bob", "key": "bob", "model": "petstore-ai", "day": "2026-02-01", "requests": 2, "failed": 0,
        "client_gone": 1, "prompt_tokens": 200, "completion_tokens": 12365, "exact": 0, "running": 0, "counted": 1,
        "estimated": 1,
    });
    assert_eq!(answer["data"].as_array().unwrap().len(), 3);
    assert_eq!(answer["data"][2], bob);
    let total = json!({
        "requests": 5, "failed": 1, "client_gone": 1, "prompt_tokens": 500, "completion_tokens": 12425, "exact": 2,
        "running": 1, "counted": 1, "estimated": 1,
    });
    assert_eq!(answer["total"], total);
}

#[tokio::test]
async fn groups_and_their_order_can_be_chosen() {
    let shop = Shop::with(some()).await;
    let groups = |by: &str| -> Vec<Value> {
        let answer = shop.json(&["--by", by]);
        let columns = ["day", "key", "model", "requests"].map(str::to_owned);
        let shown = |group: &Value| columns.iter().filter_map(|name| group.get(name).cloned()).collect();
        answer["data"].as_array().unwrap().iter().map(shown).collect()
    };
    assert_eq!(
        groups("day,key"),
        [json!(["2026-01-31", "alice", 1]), json!(["2026-02-01", "alice", 2]), json!(["2026-02-01", "bob", 2])]
    );
    assert_eq!(groups("model"), [json!(["gpt-5", 3]), json!(["petstore-ai", 2])]);
    assert_eq!(groups("day,model,day"), groups("day,model"));
    let header = shop.table(&["--by", "day,key"]);
    assert!(header.starts_with("DAY         KEY    REQUESTS"), "{header}");
}

#[tokio::test]
async fn days_begin_and_end_in_utc_and_the_last_one_is_included() {
    let shop = Shop::with(some()).await;
    let requests = |arguments: &[&str]| shop.json(arguments)["total"]["requests"].as_u64().unwrap();
    assert_eq!(requests(&["--since", "2026-02-01"]), 4);
    assert_eq!(requests(&["--until", "2026-01-31"]), 1);
    assert_eq!(requests(&["--since", "2026-01-31", "--until", "2026-02-01"]), 5);
    assert_eq!(requests(&["--since", "2026-02-01", "--until", "2026-02-01T12:00:00Z"]), 1);
    assert_eq!(requests(&["--since", "2026-02-02"]), 0);
}

#[tokio::test]
async fn a_relative_time_counts_from_now() {
    let now = Timestamp::now();
    let at = |hours: i64| (now - jiff::SignedDuration::from_hours(hours)).to_string();
    let shop = Shop::with([0, 2, 24 * 9].map(|hours| entry(&at(hours), "k", "m")).to_vec()).await;
    let requests = |since: &str| shop.json(&["--since", since])["total"]["requests"].as_u64().unwrap();
    assert_eq!((requests("1h"), requests("3h"), requests("7d"), requests("11d")), (1, 2, 2, 3));
}

#[test]
fn nothing_recorded_is_no_error() {
    let shop = Shop::new();
    let answer = shop.json(&[]);
    assert_eq!((&answer["data"], &answer["total"]["requests"]), (&json!([]), &json!(0)));
    let lines = shop.table(&["--by", "key"]);
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().nth(1).unwrap().starts_with("TOTAL         0"), "{lines}");
}

#[tokio::test]
async fn it_works_while_a_server_writes() {
    let shop = Shop::new();
    let store = shop.open().await;
    record(&store, vec![entry("2026-01-01T00:00:00Z", "k", "m")]).await;
    // A transaction that is open while the command runs.
    let file = shop.folder.path().join("petstream.db");
    let mut database = sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let mut writing = database.begin().await.unwrap();
    sqlx::query("DELETE FROM usage_requests").execute(&mut *writing).await.unwrap();
    assert_eq!(shop.json(&[])["total"]["requests"], 1);
    writing.commit().await.unwrap();
    assert_eq!(shop.json(&[])["total"]["requests"], 0);
}

#[tokio::test]
async fn control_characters_in_names_are_escaped_on_the_terminal() {
    let shop = Shop::with(vec![entry("2026-01-01T00:00:00Z", "k", "evil\u{1b}[2J\nm")]).await;
    let table = shop.table(&["--by", "model"]);
    assert!(table.contains("evil\\u{1b}[2J\\nm") && !table.contains('\u{1b}'), "{table}");
    assert_eq!(shop.json(&["--by", "model"])["data"][0]["model"], "evil\u{1b}[2J\nm");
}

#[tokio::test]
async fn the_database_is_the_configurations_and_its_other_errors_do_not_matter() {
    let shop = Shop::new();
    let url = format!("sqlite:{}", shop.folder.path().join("here.db").display());
    let store = Store::open(&url).await.unwrap();
    record(&store, vec![entry("2026-01-01T00:00:00Z", "k", "m")]).await;
    store.close().await;
    let file = "database: sqlite:here.db\nkeys: [{name: bob, key: '${NO_SUCH}'}]\n";
    std::fs::write(shop.folder.path().join("petstream.yaml"), file).unwrap();
    assert_eq!(shop.json(&[])["total"]["requests"], 1);
    assert_eq!(shop.json(&["--database", "sqlite:other.db"])["total"]["requests"], 0);
}

#[test]
fn wrong_usage_exits_64_and_a_missing_folder_1() {
    let shop = Shop::new();
    for wrong in [
        &["--since", "yesterday"][..],
        &["--until", "7d"],
        &["--by", "color"],
        &["--by", ""],
        &["--since", "2026-02-01", "--until", "2026-01-31"],
        &["--database", "sqlite::memory:"],
        &["--config", "no-such-file.yaml"],
    ] {
        let answer = shop.run(wrong);
        assert_eq!((answer.code, answer.out.as_str()), (USAGE, ""), "{wrong:?}");
        assert!(!answer.err.is_empty(), "{wrong:?}");
    }
    assert!(!shop.folder.path().join("petstream.db").exists());
    let answer = shop.run(&["--database", "sqlite:no/such/folder/p.db"]);
    assert_eq!(answer.code, FAULT);
    assert!(answer.err.contains("no/such/folder"), "{}", answer.err);
}
