//! One measurement of live events: changes are published, subscribers receive them.

use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use crate::completions::FLUSH_WAIT;
use crate::gateways::{Gateway, Kind};
use crate::procfs::{ProcessorTime, memory};
use crate::result::Result;
use crate::subscribers::Deliveries;
use crate::worker::{Role, Worker};
use crate::workload::EventWorkload;

/// Wait after all have subscribed, until memory that only subscribing takes is free again.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// The result of one measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// Processor time per delivery, µs, publishing included.
    pub(crate) cost: Option<f64>,
    /// Memory per subscriber, KiB.
    pub(crate) memory: f64,
    #[serde(flatten)]
    pub(crate) deliveries: Deliveries,
}

pub(crate) fn measure(kind: &Kind, upstream: &str, workload: &EventWorkload, keys: &[String]) -> Result<Measurement> {
    let gateway = kind.start(upstream, keys, None)?;
    let measured = measure_gateway(&gateway, workload);
    measured.map_err(|failure| format!("{}, {}: {failure}\n{}", workload.name, kind.name(), gateway.log()).into())
}

fn measure_gateway(gateway: &Gateway, workload: &EventWorkload) -> Result<Measurement> {
    let event_api = gateway.event_api.as_ref().ok_or("it has no events")?;
    let plan = event_api.plan(gateway.addresses(), workload)?;
    let processes = gateway.processes();
    let empty = memory(&processes)?;
    let mut clients = Worker::start_clients(Role::Subscribers, &plan)?;
    sleep(SETTLE_TIME);
    let held = memory(&processes)?.saturating_sub(empty);
    let time = ProcessorTime::of(&processes);
    clients.begin()?;
    let deliveries: Deliveries = clients.read_result()?;
    sleep(FLUSH_WAIT);
    let time = ProcessorTime::of(&processes).since(time);
    let cost = (deliveries.deliveries > 0).then(|| time.as_secs_f64() * 1e6 / deliveries.deliveries as f64);
    Ok(Measurement { cost, memory: held as f64 / workload.subscribers as f64, deliveries })
}
