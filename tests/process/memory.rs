//! The memory of a server that has not been asked anything of petstore-ai.
#![cfg(target_os = "linux")]

use serde_json::json;

use test_support::http::Request;
use test_support::program::{Folder, Program};

/// Most memory of a server at rest that is not that of files, bytes: three times what it takes, because debug builds
/// and allocators differ.
const AT_REST: u64 = 24 << 20;
/// Least memory of the tokenizer's tables, bytes: four fifths of what they take.
const TABLES: u64 = 8 << 20;
/// Most memory that the first question adds, bytes: the tables, and as much again.
const AFTER_QUESTION: u64 = 24 << 20;

/// The memory of the process that is not that of files, bytes.
fn anonymous(program: &Program) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", program.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn the_tokenizer_takes_memory_only_once_petstore_ai_is_asked() {
    let folder = Folder::with("auth: none\n");
    let program = folder.start().await;
    for path in ["/readyz", "/v1/models", "/api/pets"] {
        assert_eq!(program.ask(&Request::new("GET", path)).await.status, 200, "{path}");
    }
    let unknown = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(program.ask(&Request::chat(&unknown)).await.status, 404);
    let at_rest = anonymous(&program);
    assert!(at_rest < AT_REST, "{at_rest} bytes at rest");

    let question = json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "How many dogs?"}]});
    assert_eq!(program.ask(&Request::chat(&question)).await.status, 200);
    let added = anonymous(&program).saturating_sub(at_rest);
    assert!((TABLES..AFTER_QUESTION).contains(&added), "{added} bytes for the first question");
    program.stop().await;
}
