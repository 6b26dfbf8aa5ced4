//! One measurement of commands: writers change the store as fast as they are answered.

use std::thread::sleep;

use serde::Serialize;

use crate::completions::FLUSH_WAIT;
use crate::gateways::{Gateway, Kind};
use crate::procfs::ProcessorTime;
use crate::result::Result;
use crate::worker::{Role, Worker};
use crate::workload::CommandWorkload;
use crate::writers::Commands;

/// The result of one measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// Commands a second.
    pub(crate) rate: f64,
    /// Processor time of all servers of the gateway for one command, µs; that of Postgres and Redis is not counted.
    pub(crate) cost: f64,
    #[serde(flatten)]
    pub(crate) commands: Commands,
}

pub(crate) fn measure(kind: &Kind, upstream: &str, workload: &CommandWorkload, keys: &[String]) -> Result<Measurement> {
    let gateway = kind.start(upstream, keys, None)?;
    let measured = measure_gateway(&gateway, workload);
    measured.map_err(|failure| format!("{}, {}: {failure}\n{}", workload.name, kind.name(), gateway.log()).into())
}

fn measure_gateway(gateway: &Gateway, workload: &CommandWorkload) -> Result<Measurement> {
    let event_api = gateway.event_api.as_ref().ok_or("it has no store")?;
    let plan = event_api.commands(gateway.addresses(), workload)?;
    let processes = gateway.processes();
    let mut writers = Worker::start_clients(Role::Writers, &plan)?;
    let time = ProcessorTime::of(&processes);
    writers.begin()?;
    let commands: Commands = writers.read_result()?;
    sleep(FLUSH_WAIT);
    let time = ProcessorTime::of(&processes).since(time);
    let (rate, cost) = (commands.done as f64 / commands.seconds, time.as_secs_f64() * 1e6 / commands.done as f64);
    Ok(Measurement { rate, cost, commands })
}
