//! The crate `async-openai` as a client of petstream.

use std::num::NonZeroU64;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::{ApiErrorResponse, OpenAIError};
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, ChatCompletionStreamOptions, CreateChatCompletionRequest, FinishReason, Role,
};
use futures_util::StreamExt;
use serde_json::json;

use crate::server::Server;
use test_support::frames::{first, last, text, usage};
use test_support::http::{Piece, Request};
use test_support::soon;
use test_support::upstream::{Gate, Script, Upstream};

const KEY: &str = "sk-alice-0123456789";

async fn server(upstream: &Upstream) -> Server {
    let yaml = format!(
        "keys: [{{name: alice, key: {KEY}}}]\nlimits: {{per_key: {{concurrent_streams: 1, tokens_per_minute: 100000}}}}\n\
         models: [{{name: m, upstreams: [{{base_url: '{}', api_key: sk-upstream}}]}}]\n",
        upstream.url()
    );
    Server::start(&yaml).await
}

fn client(server: &Server, key: &str) -> Client<OpenAIConfig> {
    // The first test installs it for all tests of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let config = OpenAIConfig::new().with_api_base(format!("http://{}/v1", server.address)).with_api_key(key);
    Client::build(http, config)
}

fn question(model: &str) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatCompletionRequestUserMessage::from("How many cats?").into()],
        ..CreateChatCompletionRequest::default()
    }
}

fn streaming(model: &str) -> CreateChatCompletionRequest {
    let options = ChatCompletionStreamOptions { include_usage: Some(true), include_obfuscation: None };
    CreateChatCompletionRequest { stream_options: Some(options), ..question(model) }
}

/// The result of a stream at the client: text, finish reasons, total tokens, and the error that ended it.
#[derive(Debug, Default)]
struct Seen {
    roles: Vec<Role>,
    text: String,
    finished: Vec<FinishReason>,
    total_tokens: Option<NonZeroU64>,
    error: Option<OpenAIError>,
}

async fn stream(client: &Client<OpenAIConfig>, request: CreateChatCompletionRequest) -> Seen {
    let mut seen = Seen::default();
    let mut stream = match client.chat().create_stream(request).await {
        Ok(stream) => stream,
        Err(error) => return Seen { error: Some(error), ..seen },
    };
    while let Some(chunk) = stream.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                seen.error.get_or_insert(error);
                continue;
            }
        };
        for choice in chunk.choices {
            seen.roles.extend(choice.delta.role);
            seen.text.push_str(choice.delta.content.as_deref().unwrap_or_default());
            seen.finished.extend(choice.finish_reason);
        }
        seen.total_tokens = chunk.usage.and_then(|usage| NonZeroU64::new(usage.total_tokens.into()));
    }
    seen
}

#[track_caller]
fn api_error(error: OpenAIError) -> ApiErrorResponse {
    match error {
        OpenAIError::ApiError(error) => error,
        other => panic!("no error of the API: {other:?}"),
    }
}

#[tokio::test]
async fn it_streams_and_reads_whole_answers_of_the_local_model() {
    let upstream = Upstream::start([]).await;
    let server = server(&upstream).await;
    let client = client(&server, KEY);
    let seen = stream(&client, streaming("petstore-ai")).await;
    assert!(seen.error.is_none(), "{seen:?}");
    assert_eq!((&seen.roles[..], &seen.finished[..]), (&[Role::Assistant][..], &[FinishReason::Stop][..]));

    let whole = client.chat().create(question("petstore-ai")).await.unwrap();
    assert_eq!(whole.choices[0].message.content.as_deref(), Some(seen.text.as_str()));
    assert_eq!(whole.choices[0].finish_reason, Some(FinishReason::Stop));
    let usage = whole.usage.unwrap();
    assert_eq!(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert_eq!(seen.total_tokens.map(NonZeroU64::get), Some(usage.total_tokens.into()));
    server.stop().await;
}

#[tokio::test]
async fn it_streams_and_reads_whole_answers_of_an_upstream() {
    let upstream = Upstream::start([
        Script::sse([first(), text("Eleven"), text("."), last("stop"), usage(9, 2), "[DONE]".to_owned()]),
        Script::json(200, &test_support::frames::answer("Eleven.")),
    ])
    .await;
    let server = server(&upstream).await;
    let client = client(&server, KEY);
    let seen = stream(&client, streaming("m")).await;
    assert_eq!((seen.text.as_str(), seen.total_tokens.map(NonZeroU64::get)), ("Eleven.", Some(11)), "{seen:?}");
    let whole = client.chat().create(question("m")).await.unwrap();
    assert_eq!(whole.choices[0].message.content.as_deref(), Some("Eleven."));
    server.stop().await;
}

#[tokio::test]
async fn it_lists_models_and_looks_them_up() {
    let upstream = Upstream::start([]).await;
    let server = server(&upstream).await;
    let client = client(&server, KEY);
    let list = client.models().list().await.unwrap();
    assert_eq!(list.data.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["petstore-ai", "m"]);
    assert_eq!(client.models().retrieve("m").await.unwrap().id, "m");
    server.stop().await;
}

#[tokio::test]
async fn it_reads_401_and_404() {
    let upstream = Upstream::start([]).await;
    let server = server(&upstream).await;
    let stranger = client(&server, "sk-stranger-0123456789");
    let ours = client(&server, KEY);
    for (client, model, status, code) in
        [(&stranger, "m", 401, "invalid_api_key"), (&ours, "nobody", 404, "model_not_found")]
    {
        let whole = client.chat().create(question(model)).await.unwrap_err();
        let streamed = stream(client, question(model)).await.error.expect("an error");
        for error in [whole, streamed] {
            let ApiErrorResponse { status_code, api_error } = api_error(error);
            assert_eq!((status_code.as_u16(), api_error.code.as_deref()), (status, Some(code)));
            assert_eq!(api_error.r#type.as_deref(), Some("invalid_request_error"));
        }
    }
    let error = api_error(ours.models().retrieve("nobody").await.unwrap_err());
    assert_eq!(error.api_error.code.as_deref(), Some("model_not_found"));
    server.stop().await;
}

#[tokio::test]
async fn it_reads_429_of_a_spent_quota_at_once() {
    let spent = r#"{"error":{"message":"Pay.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let upstream = Upstream::start([Script::json(429, spent)]).await;
    let server = server(&upstream).await;
    let error = api_error(client(&server, KEY).chat().create(question("m")).await.unwrap_err());
    assert_eq!((error.status_code.as_u16(), error.api_error.code.as_deref()), (429, Some("insufficient_quota")));
    assert_eq!(upstream.requests().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn it_retries_after_the_retry_after_of_a_limit() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().frame(&first()).wait(&never)]).await;
    let server = server(&upstream).await;
    let mut holder = server.connect().await;
    let held = Request::chat(&test_support::frames::request(&json!({"stream": true}))).bearer(KEY);
    let mut answer = holder.ask(&held).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));

    let client = client(&server, KEY);
    let mut second = std::pin::pin!(stream(&client, streaming("petstore-ai")));
    // It is refused, and waits for the second of `retry-after`.
    let early = tokio::time::timeout(Duration::from_millis(500), second.as_mut()).await;
    assert!(early.is_err(), "not refused: {early:?}");
    holder.reset();
    let seen = soon("the second stream", second).await;
    assert!(seen.error.is_none() && !seen.text.is_empty(), "{seen:?}");
    server.stop().await;
}

#[tokio::test]
async fn it_reads_429_of_a_request_that_can_never_fit() {
    let upstream = Upstream::start([]).await;
    let server = server(&upstream).await;
    let request = CreateChatCompletionRequest { max_completion_tokens: Some(200_000), ..question("m") };
    let error = api_error(client(&server, KEY).chat().create(request).await.unwrap_err());
    assert_eq!((error.status_code.as_u16(), error.api_error.r#type.as_deref()), (429, Some("tokens")));
    server.stop().await;
}

#[tokio::test]
async fn it_notices_a_stream_that_fails() {
    let upstream = Upstream::start([Script::stream().frame(&first()).frame(&text("a")).close()]).await;
    let server = server(&upstream).await;
    let seen = stream(&client(&server, KEY), streaming("m")).await;
    assert_eq!((seen.text.as_str(), seen.finished.len()), ("a", 0));
    let error = seen.error.expect("an error");
    assert!(error.to_string().contains("upstream_closed"), "{error:?}");
    server.stop().await;
}
