//! One measurement of completions: a gateway that has just started, clients, and what both of them used and saw.

use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use crate::Done;
use crate::clock::now;
use crate::gateways::{Kind, Role};
use crate::load::{self, Plan, Seen};
use crate::procfs::{ProcessorTime, memory};
use crate::samples::median;
use crate::workload::Workload;

/// After the last answer a gateway may still have to write down what it cost: petstream does so twice a second.
pub(crate) const AFTERMATH: Duration = Duration::from_millis(700);
/// Between two looks at the memory that is held.
const PAUSE: Duration = Duration::from_millis(300);

/// What one measurement gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// The gateway's processor time per token, or per request where streams have no more than one, µs.
    pub(crate) cost: Option<f64>,
    /// Memory per open stream, KiB.
    pub(crate) memory: Option<f64>,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

pub(crate) fn measure(kind: &Kind, upstream: &str, workload: &Workload, keys: &[String]) -> Done<Measurement> {
    let gateway = kind.start(upstream, keys)?;
    let plan = Plan { address: gateway.address.clone(), keys: keys.to_vec(), workload: workload.clone() };
    let measured = (|| {
        let mut clients = Role::ready(load::ROLE, &plan)?;
        let family = gateway.family();
        let (time, empty) = (ProcessorTime::of(&family), memory(&family)?);
        clients.go()?;
        let held = if workload.held { Some(held(&mut clients, &family)?) } else { None };
        let seen: Seen = clients.result()?;
        sleep(AFTERMATH);
        let time = ProcessorTime::of(&family).since(time);
        let (held, looked) = held.unzip();
        if looked.is_some_and(|looked| looked > seen.first_end) {
            return Err("streams ended before all of them were open: this machine is too slow for so many".into());
        }
        let units = if workload.per_token() { seen.tokens } else { seen.requests };
        let measured = !family.is_empty();
        let cost = measured.then(|| time.as_secs_f64() * 1e6 / units as f64);
        let memory = held.filter(|_| measured).map(|held| (held - empty as f64) / workload.connections as f64);
        Done::Ok(Measurement { cost, memory, seen })
    })();
    measured.map_err(|failure| format!("{}, {}: {failure}\n{}", workload.name, kind.name(), gateway.log()).into())
}

/// The memory while all streams are open, KiB, and when it was looked at last.
fn held(clients: &mut Role, family: &[u32]) -> Done<(f64, u64)> {
    clients.expect("open")?;
    let mut looks = Vec::new();
    for _ in 0..5 {
        looks.push(memory(family)? as f64);
        sleep(PAUSE);
    }
    Ok((median(looks).unwrap_or(0.0), now()))
}
