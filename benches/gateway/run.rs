//! Everything, round by round: each gateway in each round, so that what the machine does meanwhile meets all alike.

use std::io::Write;

use serde::Serialize;

use crate::gateways::{Kind, Role};
use crate::machine::Machine;
use crate::options::Options;
use crate::report::{Report, Versions};
use crate::workload::{Workload, audiences, workloads};
use crate::{Done, chat, events, table};

/// Files that a process needs beside its connections.
const OWN_FILES: u64 = 1_000;

pub(crate) fn run(options: &Options) -> Done<()> {
    let (kinds, left_out) = options.kinds()?;
    left_out.iter().for_each(|line| note(line));
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let (_upstream, upstream) = Role::upstream(options.dialect)?;
    let keys: Vec<_> =
        (0..options.keys.max(1)).map(|index| format!("sk-bench-{index:08}-{:032x}", index + 1)).collect();
    let mut report = Report {
        machine: Machine::here(),
        tiny: options.tiny,
        rounds: options.rounds(),
        dialect: options.dialect.name(),
        versions: kinds.iter().filter_map(|kind| Some(Versions::new(kind.name(), kind.version()?))).collect(),
        left_out,
        chat: Vec::new(),
        events: Vec::new(),
    };
    for workload in chosen(options) {
        let rounds =
            rounds(&kinds, options.rounds(), &workload.name, |kind| chat::measure(kind, &upstream, &workload, &keys))?;
        report.chat.push(table::Section { workload, rounds });
    }
    // A gateway in front of an upstream may need two files a client.
    let most = (files.saturating_sub(OWN_FILES) / 2) as usize;
    let audiences = audiences(options.tiny, most).into_iter().filter(|audience| options.runs(&audience.name));
    let with_events: Vec<_> = kinds.iter().filter(|kind| kind.has_events()).cloned().collect();
    for audience in audiences.filter(|_| !with_events.is_empty()) {
        let rounds = rounds(&with_events, options.rounds(), &audience.name, |kind| {
            events::measure(kind, &upstream, &audience, &keys)
        })?;
        report.events.push(table::Section { workload: audience, rounds });
    }
    report.write(&options.output)?;
    crate::say(&report.text())
}

fn chosen(options: &Options) -> Vec<Workload> {
    let mut chosen = workloads(options.tiny);
    chosen.retain(|workload| options.runs(&workload.name));
    for workload in chosen.iter_mut().filter(|workload| ["burst", "paced"].contains(&workload.name.as_str())) {
        let Some(streams) = options.streams else { continue };
        let all = workload.connections * workload.requests;
        (workload.connections, workload.requests) = (streams, all.div_ceil(streams.max(1)));
    }
    // Where requests are counted, what is measured is not the first one of each key.
    for workload in chosen.iter_mut().filter(|workload| !workload.per_token() && !workload.held) {
        workload.warm = workload.warm.max(options.keys.div_ceil(workload.connections));
    }
    chosen
}

/// Measures every kind so often, beginning with another one each time.
fn rounds<M: Serialize>(
    kinds: &[Kind],
    rounds: usize,
    name: &str,
    measure: impl Fn(&Kind) -> Done<M>,
) -> Done<Vec<(String, Vec<M>)>> {
    let mut found: Vec<_> = kinds.iter().map(|kind| (kind.name().to_owned(), Vec::new())).collect();
    for round in 0..rounds {
        note(&format!("{name}, round {} of {rounds}", round + 1));
        for at in 0..kinds.len() {
            let at = (at + round) % kinds.len();
            found[at].1.push(measure(&kinds[at])?);
        }
    }
    Ok(found)
}

/// What is going on goes to stderr: stdout has the table.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
