//! Writers, subscribers and callers of completions by way of the balancer, and what must hold for them at the end.

use std::net::SocketAddr;
use std::time::Instant;

use crate::callers::{Answers, Callers, Ideal};
use crate::replicas::Replicas;
use crate::subscribers::Subscribers;
use crate::writers::{Writers, Written, assert_agree, tally};
use test_support::becomes;
use test_support::event_stream::seq;
use test_support::frames::answer;
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

/// The key of everything that is not limited.
pub(crate) const KEY: &str = "sk-petstream-test-0123456789";
const LIMITED_KEY: &str = "sk-petstream-limited-0123456789";
/// The key whose streams at once are limited, to [`STREAMS`].
pub(crate) const STREAMS_KEY: &str = "sk-petstream-streams-0123456789";
pub(crate) const STREAMS: usize = 6;
/// Requests a minute of the limited key.
pub(crate) const LIMIT: u32 = 240;

/// The upstream of callers without a limit, and that of those with one, which tells how many were admitted.
pub(crate) struct Upstreams {
    open: Upstream,
    limited: Upstream,
}

/// Running clients.
pub(crate) struct Load {
    began: Instant,
    upstreams: Upstreams,
    pub(crate) writers: Writers,
    subscribers: Subscribers,
    pub(crate) open: Callers,
    pub(crate) limited: Callers,
    ideal: Ideal,
}

async fn upstream() -> Upstream {
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::json(200, &answer("hello")));
    upstream
}

/// The entry of a model in the configuration.
pub(crate) fn model(name: &str, upstream: &Upstream) -> String {
    format!("  - {{name: {name}, retries: {{same_target: 0}}, upstreams: [{{base_url: '{}'}}]}}\n", upstream.url())
}

impl Upstreams {
    pub(crate) async fn start() -> Self {
        Self { open: upstream().await, limited: upstream().await }
    }

    /// The configuration of servers; further models may follow it.
    pub(crate) fn yaml(&self) -> String {
        format!(
            "page: false\nevents: {{heartbeat: 1s, retry: 100ms}}\ndrain: {{delay: 200ms}}\nkeys:\n  \
             - {{name: open, key: {KEY}, scopes: [chat, 'store:read', 'store:write', stats]}}\n  \
             - {{name: limited, key: {LIMITED_KEY}, limits: {{requests_per_minute: {LIMIT}}}}}\n  \
             - {{name: streams, key: {STREAMS_KEY}, limits: {{concurrent_streams: {STREAMS}}}}}\nmodels:\n{}{}",
            model("open", &self.open),
            model("limited", &self.limited)
        )
    }
}

impl Load {
    pub(crate) fn start(upstreams: Upstreams, server: SocketAddr) -> Self {
        Self {
            began: Instant::now(),
            upstreams,
            writers: Writers::start_slow("w", 3, server, KEY),
            subscribers: Subscribers::start(3, server, KEY),
            open: Callers::start(2, server, "open", KEY),
            limited: Callers::start(3, server, "limited", LIMITED_KEY),
            ideal: Ideal::new(LIMIT),
        }
    }

    /// Requests beyond the limit since the last call.
    pub(crate) fn over(&mut self) -> f64 {
        let times: Vec<Instant> = self.upstreams.limited.requests().iter().map(|request| request.at).collect();
        self.ideal.over(&times)
    }

    /// Waits until limits are shared by these servers, and used up.
    pub(crate) async fn settle(&self, replicas: &Replicas, numbers: &[usize]) {
        for &number in numbers {
            says(replicas, number, r#"petstream_limits_mode{mode="shared"} 1"#).await;
            says(replicas, number, &format!("petstream_replicas {}", numbers.len())).await;
        }
        self.limited.limited().await;
    }

    /// What all callers have got since the last call. None has failed.
    #[track_caller]
    pub(crate) fn answers(&self) -> Answers {
        let [mut all, limited] = [self.open.take(), self.limited.take()];
        assert_eq!((&all.failed[..], &limited.failed[..]), (&[][..], &[][..]));
        all.completed += limited.completed;
        all.limited += limited.limited;
        all.lost += limited.lost;
        all.longest = all.longest.max(limited.longest);
        all
    }

    /// Stops the clients, and checks what they and the servers have seen; `more` was written beside them. Returns a
    /// summary, and the pets.
    pub(crate) async fn end(self, replicas: &Replicas, more: Vec<Written>) -> (String, Vec<Written>) {
        let mut written = self.writers.stop().await;
        self.open.stop().await;
        self.limited.stop().await;
        let summary = tally(&written, self.began);
        written.extend(more);
        let running = replicas.numbers();
        let log = replicas.log(running[0]).await;
        for &number in &running[1..] {
            assert_eq!(replicas.log(number).await, log, "replica {number}");
        }
        assert_agree(&written, &log);
        let ids: Vec<String> = log.iter().map(|(id, _)| id.clone()).collect();
        for seen in self.subscribers.until(seq(ids.last().unwrap())).await {
            assert_eq!(seen, ids, "each event once and in order");
        }
        (summary, written)
    }
}

pub(crate) async fn metrics(replicas: &Replicas, number: usize) -> String {
    replicas.ask(number, &Request::new("GET", "/metrics")).await.text().to_owned()
}

/// Waits until the metrics of a server have this line.
pub(crate) async fn says(replicas: &Replicas, number: usize, line: &str) {
    becomes(&true, async || metrics(replicas, number).await.lines().any(|found| found == line)).await;
}

/// How often limits were not shared, by these servers since their starts.
pub(crate) async fn outages(replicas: &Replicas, numbers: &[usize]) -> Vec<u64> {
    let mut all = Vec::new();
    for &number in numbers {
        let metrics = metrics(replicas, number).await;
        let value = metrics.lines().find_map(|line| line.strip_prefix("petstream_limits_outages_total "));
        all.push(value.map_or(0, |value| value.parse::<f64>().unwrap() as u64));
    }
    all
}
