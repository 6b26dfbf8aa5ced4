//! How well `affinity: auto` keeps conversations on one of three targets, and how it spreads a hot session: a simulation
//! with the real choice of targets, without a network.
//!
//! Conversations of ten turns run side by side. Each turn is a chat request with all turns before it, from whose body
//! the session is read; it is in flight for a random time, and the next turn follows after another one. A hit is a turn
//! at the target of the turn before it. Times are steps of the simulation. All is the same in every run; the process
//! fails when a figure is worse than docs/BENCHMARKS.md says.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use petstream::config::{Affinity, ModelConfig, UpstreamConfig};
use petstream::telemetry::metrics::Metrics;
use petstream::upstream::{Lease, Pick, Route, SessionKey};
use petstream::wire::request::{InferenceRequest, RequestRules, UnknownMembers};
use tokio::time::Instant;

const TARGETS: usize = 3;
const TURNS: usize = 10;
const STEPS: u64 = 4_000;
/// Requests of the hot session that run at all times.
const HOT: usize = 60;

/// A fixed sequence of pseudo-random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        1 + (mixed ^ (mixed >> 31)) % most
    }
}

/// A conversation, or one client of the hot session.
struct Conversation {
    name: String,
    turn: usize,
    last: Option<usize>,
    /// The request that is in flight.
    lease: Option<Lease>,
    /// When the turn, or the pause before it, ends.
    until: u64,
    is_hot: bool,
}

impl Conversation {
    fn session(&self) -> Option<SessionKey> {
        let mut messages = format!(r#"{{"role":"user","content":"{}"}}"#, self.name);
        for turn in 0..self.turn {
            messages.push_str(r#",{"role":"assistant","content":"Yes."},{"role":"user","content":"And then? "#);
            messages.push_str(&format!(r#"{turn}"}}"#));
        }
        let system = r#"{"role":"system","content":"You are helpful."}"#;
        let body = format!(r#"{{"model":"m","messages":[{system},{messages}]}}"#);
        let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };
        let request = InferenceRequest::chat(body.into(), &rules).ok()?;
        request.conversation(1).map(SessionKey::new)
    }
}

#[derive(Default)]
struct Figures {
    further_turns: u64,
    hits: u64,
    /// Sums over the steps: of the requests in flight, and of those at the busiest target.
    in_flight: u64,
    busiest: u64,
}

impl Figures {
    fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.further_turns as f64
    }

    /// The requests at the busiest target for each one of the mean.
    fn spread(&self) -> f64 {
        (self.busiest * TARGETS as u64) as f64 / self.in_flight as f64
    }
}

fn route(affinity: Affinity) -> Option<Arc<Route>> {
    let url = |target: usize| format!("http://127.0.0.{}:8000/v1", target + 1).parse().ok();
    let upstreams = (0..TARGETS).map(|target| url(target).map(UpstreamConfig::new)).collect::<Option<_>>()?;
    let model = ModelConfig { affinity, ..ModelConfig::new("m".to_owned(), upstreams) };
    Route::new(&model, Metrics::new().model("m")).ok().map(Arc::new)
}

/// Runs so many conversations side by side, and the hot session if `hot`.
fn simulate(affinity: Affinity, conversations: usize, hot: bool) -> Option<Figures> {
    let route = route(affinity)?;
    let (mut random, mut begun) = (Random(1), 0);
    let mut begin = |is_hot, now| {
        begun += 1;
        let name = if is_hot { "hot".to_owned() } else { format!("conversation {begun}") };
        Conversation { name, turn: 0, last: None, lease: None, until: now, is_hot }
    };
    let hot_clients = if hot { HOT } else { 0 };
    let mut all: Vec<_> = (0..conversations + hot_clients).map(|at| begin(at >= conversations, 0)).collect();
    let mut at_target = [0_u64; TARGETS];
    let mut figures = Figures::default();
    for now in 0..STEPS {
        for one in &mut all {
            if one.until > now {
                continue;
            }
            // A turn ends: a pause follows, or another conversation. Clients of the hot session make none.
            if one.lease.take().is_some() {
                at_target[one.last?] -= 1;
                one.turn += 1;
                if one.turn == TURNS {
                    *one = begin(one.is_hot, now);
                }
                if !one.is_hot {
                    one.until = now + random.up_to(40);
                    continue;
                }
            }
            let session = if route.has_affinity() { one.session() } else { None };
            let Some(Pick::Available(target)) = route.pick(&[], session, Instant::now()) else { return None };
            if let Some(last) = one.last.filter(|_| !one.is_hot) {
                figures.further_turns += 1;
                figures.hits += u64::from(last == target);
            }
            one.lease = Some(route.lease(target, Instant::now()));
            (one.last, one.until) = (Some(target), now + random.up_to(40));
            at_target[target] += 1;
        }
        figures.in_flight += at_target.iter().sum::<u64>();
        figures.busiest += at_target.iter().max()?;
    }
    Some(figures)
}

fn run(out: &mut impl Write) -> Option<bool> {
    let mut is_good = true;
    writeln!(out, "| | hits, off | hits, auto | spread, off | spread, auto |\n|---|--:|--:|--:|--:|").ok()?;
    for (conversations, hot) in [(6, false), (24, false), (120, false), (600, false), (24, true), (120, true)] {
        let off = simulate(Affinity::Off, conversations, hot)?;
        let auto = simulate(Affinity::Auto, conversations, hot)?;
        let name = if hot { format!("{conversations}, hot session") } else { conversations.to_string() };
        let hits = [&off, &auto].map(|figures| 100.0 * figures.hit_rate());
        writeln!(out, "| {name} | {:.0} % | {:.1} % | {:.2} | {:.2} |", hits[0], hits[1], off.spread(), auto.spread())
            .ok()?;
        is_good &= hits[0] < 50.0 && (hot || hits[1] > 90.0);
        // 5/4 of the mean, and the spare requests.
        is_good &= !hot || auto.spread() < 1.25 + 4.0 / (HOT / TARGETS) as f64;
    }
    Some(is_good)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&mut std::io::stdout().lock()) {
        Some(true) => ExitCode::SUCCESS,
        Some(false) | None => ExitCode::FAILURE,
    }
}
