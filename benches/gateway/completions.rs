//! One measurement of completions: a fresh gateway, clients that load it, and what the gateway used meanwhile.

use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use crate::clients::{Answers, Plan};
use crate::clock::now;
use crate::gateways::Kind;
use crate::procfs::{ProcessorTime, memory};
use crate::result::Result;
use crate::samples::median;
use crate::tls::Certificate;
use crate::worker::{Role, Worker};
use crate::workload::Workload;

/// Wait after the last answer: petstream writes usage records twice a second, which is part of its cost.
pub(crate) const FLUSH_WAIT: Duration = Duration::from_millis(700);
/// Interval between two samples of the memory.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(300);

/// The result of one measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// Processor time of the gateway per token, or per request where answers have at most one token, µs.
    pub(crate) cost: Option<f64>,
    /// Memory per open stream, KiB.
    pub(crate) memory: Option<f64>,
    #[serde(flatten)]
    pub(crate) answers: Answers,
}

/// With a certificate, clients and gateway speak TLS.
pub(crate) fn measure(
    kind: &Kind,
    upstream: &str,
    workload: &Workload,
    keys: &[String],
    certificate: Option<&Certificate>,
) -> Result<Measurement> {
    let gateway = kind.start(upstream, keys, certificate)?;
    let plan = Plan {
        address: gateway.address.clone(),
        keys: keys.to_vec(),
        workload: workload.clone(),
        certificate: gateway.certificate.clone(),
    };
    let measured = (|| {
        let processes = gateway.processes();
        // Before connections are opened, whose memory counts; time counts from then on: without their handshakes.
        let empty = memory(&processes)?;
        let mut clients = Worker::start_clients(Role::Clients, &plan)?;
        let time = ProcessorTime::of(&processes);
        clients.begin()?;
        let held = if workload.held { Some(held_memory(&mut clients, &processes)?) } else { None };
        let answers: Answers = clients.read_result()?;
        sleep(FLUSH_WAIT);
        let time = ProcessorTime::of(&processes).since(time);
        let (held, sampled_at) = held.unzip();
        if sampled_at.is_some_and(|at| at > answers.first_end) {
            return Err("streams ended before all of them were open: this machine is too slow for so many".into());
        }
        let units = if workload.per_token() { answers.tokens } else { answers.requests };
        let measured = !processes.is_empty();
        let cost = measured.then(|| time.as_secs_f64() * 1e6 / units as f64);
        let memory = held.filter(|_| measured).map(|held| (held - empty as f64) / workload.connections as f64);
        Result::Ok(Measurement { cost, memory, answers })
    })();
    measured.map_err(|failure| format!("{}, {}: {failure}\n{}", workload.name, kind.name(), gateway.log()).into())
}

/// The median memory while all streams are open, KiB, and the time of the last sample.
fn held_memory(clients: &mut Worker, processes: &[u32]) -> Result<(f64, u64)> {
    clients.expect_line("open")?;
    let mut samples = Vec::new();
    for _ in 0..5 {
        samples.push(memory(processes)? as f64);
        sleep(SAMPLE_INTERVAL);
    }
    Ok((median(samples).unwrap_or(0.0), now()))
}
