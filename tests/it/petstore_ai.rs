//! Questions to petstore-ai in the form of common chat clients.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::http::Request;

/// The answer to these messages, each with role and text.
async fn answer(server: &Server, messages: &[(&str, &str)]) -> String {
    let messages: Vec<Value> = messages.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
    let whole = server.ask(&Request::chat(&json!({"model": "petstore-ai", "messages": messages}))).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    whole.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn text_around_a_question_does_not_change_the_answer() {
    let server = Server::start("auth: none\n").await;
    let plain = answer(&server, &[("user", "How many cats do you have?")]).await;
    assert!(plain.starts_with("There are "), "{plain}");
    let system = "You are a helpful assistant. ".repeat(2_000);
    for question in [
        "Hi! How many cats do you have? One line.",
        "\u{201c}How many cats do you have?\u{201d} Please be concise, no markdown.",
        "Question: How many cats do you have?\nAnswer:",
        "Sorry to bother you, but how many cats do you have? Thanks in advance!",
    ] {
        assert_eq!(answer(&server, &[("system", &system), ("user", question)]).await, plain, "{question}");
    }
    let long =
        format!("{}\n\nHow many cats do you have?", "It has been raining for days where we live now. ".repeat(60));
    assert!(answer(&server, &[("user", &long)]).await.ends_with(&plain));
    let list: Value = serde_json::from_str(&answer(&server, &[("user", "List the cats in JSON")]).await).unwrap();
    assert!(list["total"].as_u64() > Some(0));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_wants_a_title_gets_one_and_no_list() {
    let server = Server::start("auth: none\n").await;
    let task = "### Task:\nGenerate a concise, 3-5 word title.\n### Output:\nJSON format: { \"title\": \"...\" }\n\
                ### Chat History:\n<chat_history>\nUSER: list cats\nASSISTANT: 4 cats\n</chat_history>";
    assert_eq!(answer(&server, &[("user", task)]).await, r#"{"title":"list cats"}"#);
    server.stop().await;
}
