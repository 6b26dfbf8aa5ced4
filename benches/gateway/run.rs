//! The whole measurement, in rounds: each round measures every gateway, so that disturbances of the machine affect all
//! of them alike.

use std::io::Write;

use serde::Serialize;

use crate::gateways::Kind;
use crate::machine::Machine;
use crate::options::Options;
use crate::report::{GatewayVersion, Report};
use crate::result::Result;
use crate::table::Section;
use crate::tls::Certificate;
use crate::worker::{Worker, write_line};
use crate::workload::{COMMANDS, HANDSHAKES, Workload, command_workloads, event_workloads, workloads};
use crate::{commands, completions, events, rest};

/// File descriptors that a process needs besides its connections.
const OWN_FILES: u64 = 1_000;

pub(crate) fn run(options: &Options) -> Result<()> {
    let (kinds, mut left_out) = options.kinds()?;
    if options.tls {
        left_out.push("events, idle, commands and rest are measured without --tls: left out".to_owned());
    }
    left_out.iter().for_each(|line| print_progress(line));
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let (_upstream, upstream) = Worker::start_upstream(options.dialect.name())?;
    let keys: Vec<_> =
        (0..options.keys.max(1)).map(|index| format!("sk-bench-{index:08}-{:032x}", index + 1)).collect();
    let mut report = Report {
        machine: Machine::here(),
        tiny: options.tiny,
        rounds: options.rounds(),
        dialect: options.dialect.name(),
        tls: options.tls,
        versions: kinds.iter().filter_map(|kind| Some(GatewayVersion::new(kind.name(), kind.version()?))).collect(),
        left_out,
        chat: Vec::new(),
        events: Vec::new(),
        commands: Vec::new(),
        rest: Vec::new(),
    };
    let certificate = if options.tls { Some(Certificate::generate()?) } else { None };
    let with_completions: Vec<_> = kinds.iter().filter(|kind| kind.is_single()).cloned().collect();
    for workload in selected_workloads(options).into_iter().filter(|_| !with_completions.is_empty()) {
        let rounds = rounds(&with_completions, options.rounds(), &workload.name, |kind| {
            completions::measure(kind, &upstream, &workload, &keys, certificate.as_ref())
        })?;
        report.chat.push(Section { workload, rounds });
    }
    // A gateway may need two descriptors per client: one for the client, one for the upstream.
    let max_connections = (files.saturating_sub(OWN_FILES) / 2) as usize;
    let event_workloads =
        event_workloads(options.tiny, max_connections).into_iter().filter(|workload| options.runs(&workload.name));
    let with_events: Vec<_> = kinds.iter().filter(|kind| kind.has_events()).cloned().collect();
    for workload in event_workloads.filter(|_| !with_events.is_empty() && !options.tls) {
        let rounds = rounds(&with_events, options.rounds(), &workload.name, |kind| {
            events::measure(kind, &upstream, &workload, &keys)
        })?;
        report.events.push(Section { workload, rounds });
    }
    let with_store: Vec<_> = kinds.iter().filter(|kind| kind.has_store()).cloned().collect();
    let measures_commands = options.runs(COMMANDS) && !options.tls && !with_store.is_empty();
    for workload in command_workloads(options.tiny).into_iter().filter(|_| measures_commands) {
        let rounds = rounds(&with_store, options.rounds(), &workload.name, |kind| {
            commands::measure(kind, &upstream, &workload, &keys)
        })?;
        report.commands.push(Section { workload, rounds });
    }
    let with_program: Vec<_> =
        kinds.iter().filter(|kind| kind.program().is_some() && kind.is_single()).cloned().collect();
    if options.runs(rest::NAME) && !options.tls && !with_program.is_empty() {
        let rounds = rounds(&with_program, options.rounds(), rest::NAME, |kind| rest::measure(kind, &upstream, &keys))?;
        report.rest.push(Section { workload: rest::NAME, rounds });
    }
    report.write(&options.output)?;
    write_line(&report.text())
}

fn selected_workloads(options: &Options) -> Vec<Workload> {
    let mut selected = workloads(options.tiny);
    selected.retain(|workload| options.runs(&workload.name) && (options.tls || workload.name != HANDSHAKES));
    for workload in selected.iter_mut().filter(|workload| ["burst", "paced"].contains(&workload.name.as_str())) {
        let Some(streams) = options.streams else { continue };
        let all = workload.connections * workload.requests;
        (workload.connections, workload.requests) = (streams, all.div_ceil(streams.max(1)));
    }
    // Where the cost of requests is measured, the first request of each key belongs to the warm-up.
    for workload in selected.iter_mut().filter(|workload| !workload.per_token() && !workload.held) {
        workload.warm = workload.warm.max(options.keys.div_ceil(workload.connections));
    }
    selected
}

/// Measures every gateway in each round, beginning with another one each time.
fn rounds<M: Serialize>(
    kinds: &[Kind],
    rounds: usize,
    name: &str,
    measure: impl Fn(&Kind) -> Result<M>,
) -> Result<Vec<(String, Vec<M>)>> {
    let mut found: Vec<_> = kinds.iter().map(|kind| (kind.name().to_owned(), Vec::new())).collect();
    for round in 0..rounds {
        print_progress(&format!("{name}, round {} of {rounds}", round + 1));
        for at in 0..kinds.len() {
            let at = (at + round) % kinds.len();
            found[at].1.push(measure(&kinds[at])?);
        }
    }
    Ok(found)
}

/// Prints progress to stderr; stdout is for the tables.
fn print_progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
