//! `petstream events`: prints the events of a server as lines of JSON.
//!
//! It runs until stdout is closed or the server refuses the request (a 4xx but 429). A stream that breaks or ends is
//! resumed behind its last event, after the server's reconnection delay (`retry:`), doubled with each failure in a row
//! up to a minute.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use petstream::config::Sources;
use petstream::http::client::system_tls;
use petstream::time::jitter;
use petstream::wire::sse::Decoder;
use reqwest::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::value::RawValue;

use super::failure::{Failure, fault, message};
use super::output::{note, print_or_closed};
use super::runtime::block_on;

/// Delay before a stream is resumed, unless the server sends another one.
const DEFAULT_RETRY: Duration = Duration::from_secs(3);
/// Longest delay after failures in a row.
const MAX_RETRY: Duration = Duration::from_secs(60);
/// Longest silence of a stream: a little more than the longest interval between heartbeats that can be configured.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(6 * 60);
/// Interval of TCP keepalive probes.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Longest event that is read, bytes.
const MAX_EVENT_LEN: usize = 64 << 20;

#[derive(Args)]
pub(super) struct Command {
    /// Among pets, orders, inventory, notifications and stats, separated by commas [default: all but stats]
    #[arg(long, value_name = "A,B")]
    topics: Option<String>,
    /// Where to begin: the id of an event, or earliest [default: with what happens next]
    #[arg(long, value_name = "CURSOR|earliest")]
    from: Option<String>,
    /// Where the server is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    url: Url,
    /// API key [default: the first of PETSTREAM_API_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// A line of output.
#[derive(serde::Serialize)]
struct Line<'a> {
    id: &'a str,
    event: &'a str,
    data: &'a RawValue,
}

/// How a stream ended.
enum StreamEnd {
    /// It is to be resumed; `received`: it had delivered an event.
    Resume { received: bool },
    /// stdout is closed.
    OutputClosed,
}

/// A reader of one server's events.
struct Reader {
    client: Client,
    url: Url,
    key: Option<String>,
    /// Cursor of the last event; empty: only new events.
    last_id: String,
    /// Delay before the stream is resumed.
    retry: Duration,
}

pub(super) fn run(command: Command, sources: &Sources) -> Result<(), Failure> {
    block_on(async { Reader::new(command, sources)?.follow().await })
}

impl Reader {
    fn new(command: Command, sources: &Sources) -> Result<Self, Failure> {
        let Command { topics, from, url, key } = command;
        let first = |keys: &String| keys.split(',').map(str::trim).find(|key| !key.is_empty()).map(str::to_owned);
        let key = key.or_else(|| sources.environment.get("PETSTREAM_API_KEY").and_then(first));
        let client = Client::builder()
            .read_timeout(SILENCE_TIMEOUT)
            .connect_timeout(Duration::from_secs(10))
            .tcp_keepalive(KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(system_tls().map_err(fault)?.as_ref().clone())
            .build()
            .map_err(fault)?;
        // Appended to the URL's own path, which may be a proxy's prefix.
        let mut url = url;
        let path = format!("{}/api/events", url.path().trim_end_matches('/'));
        url.set_path(&path);
        if let Some(topics) = topics {
            url.query_pairs_mut().append_pair("topics", &topics);
        }
        Ok(Self { client, url, key, last_id: from.unwrap_or_default(), retry: DEFAULT_RETRY })
    }

    /// Prints events until stdout is closed or the server refuses the request.
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            match self.stream().await? {
                StreamEnd::OutputClosed => return Ok(()),
                StreamEnd::Resume { received } => failures = if received { 0 } else { failures + 1 },
            }
            tokio::time::sleep(delay(self.retry, failures)).await;
        }
    }

    async fn stream(&mut self) -> Result<StreamEnd, Failure> {
        let mut request = self.client.get(self.url.clone()).header(ACCEPT, "text/event-stream");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if !self.last_id.is_empty() {
            request = request.header("last-event-id", &self.last_id);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => {
                return Err(Failure::Usage(format!("the request can't be made: {error}")));
            }
            Err(error) => {
                note(&message(&reason(&error)));
                return Ok(StreamEnd::Resume { received: false });
            }
        };
        let status = response.status();
        if status == StatusCode::OK {
            return self.read(response).await;
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            note(&message(&format!("the server answers {status}")));
            let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            self.retry = asked.map_or(self.retry, Duration::from_secs);
            return Ok(StreamEnd::Resume { received: false });
        }
        let body = response.text().await.unwrap_or_default();
        Err(Failure::Fault(format!("the server answers {status}: {}", body.chars().take(1_000).collect::<String>())))
    }

    async fn read(&mut self, mut response: Response) -> Result<StreamEnd, Failure> {
        let mut decoder = Decoder::new(MAX_EVENT_LEN);
        let mut received = false;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(StreamEnd::Resume { received }),
                Err(error) => {
                    note(&message(&reason(&error)));
                    return Ok(StreamEnd::Resume { received });
                }
            };
            decoder.push(chunk);
            loop {
                let event = decoder.next_event().map_err(|_| Failure::Fault("an event without end".to_owned()))?;
                // Also when there is no event: a block without data may set the id.
                self.update_cursor(&decoder);
                let Some(event) = event else { break };
                received = true;
                if !self.print(event.name.as_ref(), &event.data)? {
                    return Ok(StreamEnd::OutputClosed);
                }
            }
        }
    }

    fn update_cursor(&mut self, decoder: &Decoder) {
        if let Some(id) = decoder.last_id().and_then(|id| std::str::from_utf8(id).ok()) {
            id.clone_into(&mut self.last_id);
        }
        self.retry = decoder.retry().map_or(self.retry, Duration::from_millis);
    }

    /// Prints an event; false: stdout is closed.
    fn print(&self, name: Option<&Bytes>, data: &Bytes) -> Result<bool, Failure> {
        let event = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("message");
        if matches!(event, "connected" | "heartbeat") {
            return Ok(true);
        }
        let data: &RawValue = serde_json::from_slice(data).map_err(|error| fault(format!("not JSON: {error}")))?;
        let mut line = serde_json::to_string(&Line { id: &self.last_id, event, data }).map_err(fault)?;
        line.push('\n');
        print_or_closed(&line)
    }
}

/// The delay before the next attempt: `retry`, doubled with every failure in a row. After a failure half of it is
/// random, so that the clients of a server that failed do not all return at once.
fn delay(retry: Duration, failures: u32) -> Duration {
    let delay = retry.saturating_mul(1 << failures.min(10)).min(MAX_RETRY.max(retry));
    if failures == 0 { delay } else { delay / 2 + jitter(delay / 2) }
}

/// The causes of an error; reqwest's own text only names the URL, which may contain a credential.
fn reason(error: &reqwest::Error) -> String {
    let mut text = "the stream broke".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_are_never_below_the_servers_retry() {
        let retry = Duration::from_secs(2);
        assert_eq!(delay(retry, 0), retry);
        for (failures, most) in [(1, 4), (2, 8), (5, 60), (60, 60)] {
            let waited = delay(retry, failures);
            assert!(waited >= Duration::from_secs(most) / 2 && waited <= Duration::from_secs(most), "{waited:?}");
        }
        assert!(delay(MAX_RETRY * 2, 3) >= MAX_RETRY);
    }
}
