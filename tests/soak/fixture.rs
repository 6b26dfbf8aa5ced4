//! The executable, its upstreams, one round of traffic, and the measurements between rounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::events;
use crate::flood;
use crate::local;
use crate::resources::Resources;
use test_support::http::{self, Request};
use test_support::program::{Folder, Program, quiet_port};
use test_support::random::Random;
use test_support::soon;
use test_support::storm::attempts::AttemptLog;
use test_support::storm::check::{answers, levels, records};
use test_support::storm::plan::{Key, Model};
use test_support::storm::records::rows;
use test_support::storm::traffic;
use test_support::storm::upstream::Upstream;

/// Proxied completions per round.
const SIZE: usize = 100;
/// Concurrent completions.
const CLIENTS: usize = 16;
/// Longest time until nothing is in flight and every record is written.
const QUIET: Duration = Duration::from_secs(20);
/// Longest time until descriptors and threads are back: idle threads of the blocking pool last 10 s, and closed
/// upstream connections are removed periodically.
const SETTLED: Duration = Duration::from_secs(30);

/// A key for the store and the local model.
pub(crate) const SHOP: &str = "sk-shop-0123456789";
/// A key with a limit of its own.
pub(crate) const FLOOD: &str = "sk-flood-0123456789";
/// Requests per minute of that key.
pub(crate) const FLOOD_RATE: usize = 30;

/// The server under test with its upstreams.
pub(crate) struct Fixture {
    program: Program,
    /// The address of its metrics.
    metrics: SocketAddr,
    folder: Folder,
    attempt_log: Arc<AttemptLog>,
    steady: [Upstream; 2],
    shaky: [Upstream; 2],
    /// Usage records that have been checked.
    known: usize,
}

impl Fixture {
    /// Starts everything.
    pub(crate) async fn start() -> Self {
        let attempt_log = Arc::<AttemptLog>::default();
        let steady = [Upstream::start(&attempt_log).await, Upstream::start(&attempt_log).await];
        let shaky = [Upstream::start(&attempt_log).await, Upstream::start(&attempt_log).await];
        let metrics = quiet_port();
        let folder = Folder::with(&file(&steady, &shaky, metrics));
        let program = folder.start().await;
        Self { program, metrics, folder, attempt_log, steady, shaky, known: 0 }
    }

    /// One round of all traffic; returns a summary and the violations.
    pub(crate) async fn round(&mut self, round: usize, seed: u64) -> (String, Vec<String>) {
        let server = self.program.address;
        let mut random = Random::new(seed);
        let (words, news, noise) = (random.any(), random.any(), random.any());
        let completions = traffic::run(server, &self.attempt_log, &mut self.shaky, 0..SIZE, CLIENTS, random);
        let (cases, mut spoken, (told, mut found), flooded) = tokio::join!(
            completions,
            local::talk(server, Random::new(words)),
            events::trade(server, round, Random::new(news)),
            flood::flood(server, Random::new(noise)),
        );
        found.extend(cases.iter().flat_map(answers::check));
        let page = self.quiet().await;
        let all = rows(&self.folder.database()).await;
        let (own, others): (Vec<_>, Vec<_>) =
            all[self.known..].iter().cloned().partition(|row| row.model == local::MODEL);
        found.extend(records::check(&cases, &others));
        spoken.extend(flooded.spoken);
        found.extend(local::check(&spoken, &own));
        found.extend(flooded.objections);
        match page {
            Ok(page) => found.extend(levels::counters(&page, &all)),
            Err(gauges) => found.extend(gauges),
        }
        self.known = all.len();
        let tally = format!(
            "{} completions, {} of petstore-ai, {told} events told, {} requests refused, {} records",
            cases.len(),
            spoken.len(),
            flooded.refused,
            all.len(),
        );
        (tally, found)
    }

    /// Waits until nothing is in flight and every record is written. Returns the metrics, or the violations in them
    /// at the timeout.
    async fn quiet(&self) -> Result<String, Vec<String>> {
        let mut last = Vec::new();
        let quiet = async {
            // Twice in a row: the text is not one consistent snapshot.
            let mut quiet = 0;
            loop {
                // On a listener of its own, whose requests do not count as in flight.
                let answer = http::ask(self.metrics, &Request::new("GET", "/metrics")).await;
                assert_eq!(answer.status, 200);
                last = levels::gauges(answer.text());
                quiet = if last.is_empty() { quiet + 1 } else { 0 };
                if quiet == 2 {
                    return answer.text().to_owned();
                }
            }
        };
        let page = tokio::time::timeout(QUIET, quiet).await;
        page.map_err(|_elapsed| last)
    }

    /// The resources of the server after its upstreams have closed all connections: as soon as they are at most
    /// `before`, else at the timeout.
    pub(crate) async fn settled(&mut self, before: Option<&Resources>) -> Resources {
        for upstream in self.steady.iter_mut().chain(&mut self.shaky) {
            upstream.go_away(true).await;
        }
        let back = async {
            let mut poll = tokio::time::interval(Duration::from_millis(100));
            let (mut last, mut same) = (Resources::of(self.program.id()), 0);
            // Back at `before`; without it, unchanged for two seconds.
            while !before.is_some_and(|before| last.is_back(before)) && same < 20 {
                poll.tick().await;
                let now = Resources::of(self.program.id());
                let still = (now.descriptors, now.threads) == (last.descriptors, last.threads);
                same = if still && before.is_none() { same + 1 } else { 0 };
                last = now;
            }
        };
        let _ = tokio::time::timeout(SETTLED, back).await;
        for upstream in self.steady.iter_mut().chain(&mut self.shaky) {
            upstream.come_back();
        }
        // The next round must not meet ejected upstreams.
        soon("ejected upstreams to be let in", tokio::time::sleep(Duration::from_millis(500))).await;
        Resources::of(self.program.id())
    }

    /// Stops the server, which must exit with 0 and without a panic in its log.
    pub(crate) async fn stop(self) {
        self.program.stop().await;
        drop((self.steady, self.shaky));
    }
}

fn file(steady: &[Upstream; 2], shaky: &[Upstream; 2], metrics: SocketAddr) -> String {
    let [alice, bob] = [Key::Alice.secret(), Key::Bob.secret()];
    format!(
        "
keys:
  - {{name: alice, key: {alice}, limits: {{concurrent_streams: 12}}}}
  - {{name: bob, key: {bob}, limits: {{concurrent_streams: 12}}}}
  - {{name: shop, key: {SHOP}}}
  - {{name: flood, key: {FLOOD}, limits: {{requests_per_minute: {FLOOD_RATE}}}}}
limits:
  total: {{concurrent_streams: 20}}
  write_idle: 5s
  frame: 64KiB
  body: 1MiB
metrics: {{listen: '{metrics}'}}
hold: 500ms
heartbeat: 1s
events: {{keep_count: 5000, heartbeat: 1s}}
{}",
        traffic::models(steady, shaky),
    )
}

/// Records of the local model are recognised by its name.
#[test]
fn records_of_the_local_model_are_distinguished_from_others() {
    let models = [Model::Solo, Model::Pair, Model::Tiers, Model::Hasty];
    assert!(models.iter().all(|model| model.name() != local::MODEL));
}
