//! `petstream events`: a stream of events as lines of JSON.
//!
//! It never ends by itself: a stream that breaks or ends is taken up again behind its last event, after the time that
//! the server asks for, and longer when that fails again and again. What the server refuses for good ends it.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use petstream::api::events::jitter;
use petstream::config::Sources;
use petstream::http::client::system_tls;
use petstream::wire::sse::Decoder;
use reqwest::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::value::RawValue;

use super::{Failure, fault, note};

/// How long to wait unless the server says so.
const RETRY: Duration = Duration::from_secs(3);
/// Longest wait after failures in a row.
const LONGEST: Duration = Duration::from_secs(60);
/// Longest silence: the rarest heartbeat that a server can be told to send, and some.
const SILENCE: Duration = Duration::from_secs(6 * 60);
/// Between two looks whether a silent peer is there.
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

/// How a stream came to its end.
enum End {
    /// Take it up again. Whether it had begun.
    Again { begun: bool },
    /// Nobody reads the output any more.
    Unread,
}

/// A reader of one server's events.
struct Reader {
    client: Client,
    url: Url,
    key: Option<String>,
    /// What the stream continues from; empty: from now on.
    last_id: String,
    retry: Duration,
}

pub(super) fn run(command: Command, sources: &Sources) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut reader = Reader::new(command, sources)?;
    runtime.map_err(fault)?.block_on(reader.follow())
}

impl Reader {
    fn new(command: Command, sources: &Sources) -> Result<Self, Failure> {
        let Command { topics, from, url, key } = command;
        let first = |keys: &String| keys.split(',').map(str::trim).find(|key| !key.is_empty()).map(str::to_owned);
        let key = key.or_else(|| sources.environment.get("PETSTREAM_API_KEY").and_then(first));
        let client = Client::builder()
            .read_timeout(SILENCE)
            .connect_timeout(Duration::from_secs(10))
            .tcp_keepalive(KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(system_tls().map_err(fault)?.as_ref().clone())
            .build()
            .map_err(fault)?;
        // Behind the path of the URL, which may be that of a proxy's.
        let mut url = url;
        let path = format!("{}/api/events", url.path().trim_end_matches('/'));
        url.set_path(&path);
        if let Some(topics) = topics {
            url.query_pairs_mut().append_pair("topics", &topics);
        }
        Ok(Self { client, url, key, last_id: from.unwrap_or_default(), retry: RETRY })
    }

    /// Streams until nobody reads, or the server refuses for good.
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            match self.stream().await? {
                End::Unread => return Ok(()),
                End::Again { begun } => failures = if begun { 0 } else { failures + 1 },
            }
            tokio::time::sleep(wait(self.retry, failures)).await;
        }
    }

    async fn stream(&mut self) -> Result<End, Failure> {
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
                note(&format!("petstream: {}", reason(&error)));
                return Ok(End::Again { begun: false });
            }
        };
        let status = response.status();
        if status == StatusCode::OK {
            return self.read(response).await;
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            note(&format!("petstream: the server answers {status}"));
            let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            self.retry = asked.map_or(self.retry, Duration::from_secs);
            return Ok(End::Again { begun: false });
        }
        let body = response.text().await.unwrap_or_default();
        Err(Failure::Fault(format!("the server answers {status}: {}", body.chars().take(1_000).collect::<String>())))
    }

    async fn read(&mut self, mut response: Response) -> Result<End, Failure> {
        let mut decoder = Decoder::new(MAX_EVENT_LEN);
        let mut begun = false;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(End::Again { begun }),
                Err(error) => {
                    note(&format!("petstream: {}", reason(&error)));
                    return Ok(End::Again { begun });
                }
            };
            decoder.push(chunk);
            loop {
                let event = decoder.next_event().map_err(|_| Failure::Fault("an event without end".to_owned()))?;
                // Also when there is none: a block of its own may move the id on.
                self.take_over(&decoder);
                let Some(event) = event else { break };
                begun = true;
                if !self.print(event.name.as_ref(), &event.data)? {
                    return Ok(End::Unread);
                }
            }
        }
    }

    fn take_over(&mut self, decoder: &Decoder) {
        if let Some(id) = decoder.last_id().and_then(|id| std::str::from_utf8(id).ok()) {
            id.clone_into(&mut self.last_id);
        }
        self.retry = decoder.retry().map_or(self.retry, Duration::from_millis);
    }

    /// Prints an event; false: nobody reads.
    fn print(&self, name: Option<&Bytes>, data: &Bytes) -> Result<bool, Failure> {
        let event = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("message");
        if matches!(event, "connected" | "heartbeat") {
            return Ok(true);
        }
        let data: &RawValue = serde_json::from_slice(data).map_err(|error| fault(format!("not JSON: {error}")))?;
        let mut line = serde_json::to_string(&Line { id: &self.last_id, event, data }).map_err(fault)?;
        line.push('\n');
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(fault(format!("stdout: {error}"))),
        }
    }
}

/// The time before the next attempt: what the server asked for, doubled with every failure in a row, and then some, so
/// that many who lost the same server don't come back in the same moment.
fn wait(retry: Duration, failures: u32) -> Duration {
    let wait = retry.saturating_mul(1 << failures.min(10)).min(LONGEST.max(retry));
    if failures == 0 { wait } else { wait / 2 + jitter(wait / 2) }
}

/// An error and what it comes from: reqwest's own text says little. Without the URL, which may hold a ticket.
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
    fn waits_grow_with_failures_up_to_a_minute_and_never_below_what_was_asked() {
        let retry = Duration::from_secs(2);
        assert_eq!(wait(retry, 0), retry);
        for (failures, most) in [(1, 4), (2, 8), (5, 60), (60, 60)] {
            let waited = wait(retry, failures);
            assert!(waited >= Duration::from_secs(most) / 2 && waited <= Duration::from_secs(most), "{waited:?}");
        }
        assert!(wait(LONGEST * 2, 3) >= LONGEST);
    }
}
