//! A batch of completions with faults of upstreams and clients, and the configuration of their models.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::random::Random;
use crate::soon;
use crate::storm::attempts::AttemptLog;
use crate::storm::check::Case;
use crate::storm::client;
use crate::storm::plan::Plan;
use crate::storm::upstream::Upstream;

/// Outages of upstreams in a batch.
const SPELLS: usize = 6;

/// Sends the requests `ids`, `clients` at a time, while the unstable upstreams go away and come back. Returns when
/// all requests and all attempts are over.
pub async fn run(
    server: SocketAddr,
    attempt_log: &Arc<AttemptLog>,
    shaky: &mut [Upstream; 2],
    ids: Range<usize>,
    clients: usize,
    mut random: Random,
) -> Vec<Case> {
    let count = ids.len();
    let plans: VecDeque<Plan> = ids.map(|id| Plan::draw(id, &mut random)).collect();
    let plans = Arc::new(Mutex::new(plans));
    let finished = watch::Sender::new(0);
    let mut asking = JoinSet::new();
    for _ in 0..clients {
        let (plans, attempt_log, finished) = (Arc::clone(&plans), Arc::clone(attempt_log), finished.clone());
        asking.spawn(ask_all(server, plans, attempt_log, finished));
    }
    let all = async {
        let mut cases = Vec::with_capacity(count);
        while let Some(done) = asking.join_next().await {
            cases.extend(done.unwrap());
        }
        cases
    };
    let (mut cases, ()) = tokio::join!(all, weather(shaky, random, &finished, count));
    // Only now is every attempt recorded to its end.
    attempt_log.all_over().await;
    for case in &mut cases {
        case.attempts = attempt_log.of(case.plan.id);
    }
    attempt_log.clear();
    cases
}

/// The configuration of the models.
pub fn models([one, two]: &[Upstream; 2], [away, gone]: &[Upstream; 2]) -> String {
    let url = |upstream: &Upstream| format!("base_url: 'http://{}/v1'", upstream.address);
    let ejection = "ejection: {failures: 3, base: 100ms, max: 400ms}";
    let short = "timeouts: {first_token: 400ms, idle: 400ms, total: 1500ms}";
    format!(
        "models:
  - {{name: solo, upstreams: [{{{one}}}]}}
  - {{name: pair, {ejection}, upstreams: [{{{away}, weight: 3}}, {{{two}}}]}}
  - {{name: tiers, {ejection}, upstreams: [{{{two}}}, {{{gone}}}, {{{one}, priority: 1, usage: running}}]}}
  - {{name: hasty, {ejection}, upstreams: [{{{one}, {short}}}, {{{two}, {short}}}]}}
",
        one = url(one),
        two = url(two),
        away = url(away),
        gone = url(gone),
    )
}

/// Runs one client after the other, until no plan is left.
async fn ask_all(
    server: SocketAddr,
    plans: Arc<Mutex<VecDeque<Plan>>>,
    attempt_log: Arc<AttemptLog>,
    finished: watch::Sender<usize>,
) -> Vec<Case> {
    let mut cases = Vec::new();
    loop {
        let next = plans.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(plan) = next else { return cases };
        let observed = client::run(server, &plan, &attempt_log).await;
        cases.push(Case { plan, observed, attempts: Vec::new() });
        finished.send_modify(|finished| *finished += 1);
    }
}

/// Stops and resumes upstreams as requests finish.
async fn weather(shaky: &mut [Upstream; 2], mut random: Random, finished: &watch::Sender<usize>, count: usize) {
    let mut finished = finished.subscribe();
    for spell in 1..=SPELLS {
        let begin = count * spell / (SPELLS + 2);
        soon("a spell to begin", finished.wait_for(|finished| *finished >= begin)).await.unwrap();
        let (which, tearing) = (random.between(1, 3), random.percent(60));
        for (at, upstream) in shaky.iter_mut().enumerate() {
            if which & (1 << at) != 0 {
                upstream.go_away(tearing).await;
            }
        }
        let end = begin + count / 16;
        soon("a spell to end", finished.wait_for(|finished| *finished >= end)).await.unwrap();
        for (at, upstream) in shaky.iter_mut().enumerate() {
            if which & (1 << at) != 0 {
                upstream.come_back();
            }
        }
    }
}
