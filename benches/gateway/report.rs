//! The results: tables for people, JSON for programs.

use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::result::Result;
use crate::table::{Grid, Section};
use crate::workload::{CommandWorkload, EventWorkload, Workload};
use crate::{commands, completions, events, rest};

/// All results.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) tiny: bool,
    pub(crate) rounds: usize,
    pub(crate) dialect: &'static str,
    /// Whether clients and gateways speak TLS.
    pub(crate) tls: bool,
    pub(crate) versions: Vec<GatewayVersion>,
    pub(crate) left_out: Vec<String>,
    pub(crate) chat: Vec<Section<Workload, completions::Measurement>>,
    pub(crate) events: Vec<Section<EventWorkload, events::Measurement>>,
    pub(crate) commands: Vec<Section<CommandWorkload, commands::Measurement>>,
    pub(crate) rest: Vec<Section<&'static str, rest::Measurement>>,
}

/// A figure of a gateway at rest, if it has it.
type Figure = fn(&rest::Measurement) -> Option<f64>;

/// A gateway and its version.
#[derive(Serialize)]
pub(crate) struct GatewayVersion {
    gateway: String,
    version: String,
}

impl GatewayVersion {
    pub(crate) fn new(gateway: &str, version: String) -> Self {
        Self { gateway: gateway.to_owned(), version }
    }
}

impl Report {
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let failed = |error| format!("{}: {error}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)?).map_err(failed)?)
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "{}, {} cores, {} MiB, {}, Linux {}\n",
            machine.processor, machine.cores, machine.memory_mib, machine.system, machine.kernel
        );
        for versions in &self.versions {
            text += &format!("{}: {}\n", versions.gateway, versions.version);
        }
        text += &format!("medians of {} rounds, ratios within them\n", self.rounds);
        if self.tls {
            text += "TLS 1.3 between clients and gateway (not with stub), without TLS to the upstream\n";
        }
        if self.tiny {
            text += "--tiny: shows that everything works, the numbers mean nothing\n";
        }
        for (title, grid) in [
            ("The gateway's processor time, µs, and memory, KiB", self.costs()),
            ("Delay of a token; of plain, the whole answer: p50 / p99 / p99.9, µs", self.delays()),
            ("First token: p50 / p99 / p99.9, µs", self.firsts()),
            ("Live events; those of nginx are its module nchan's", self.events_table()),
            (
                "Commands: how many a second, the gateway's processor time for each, and the time until its answer",
                self.commands_table(),
            ),
            ("At rest", self.rest_table()),
        ] {
            if !grid.is_empty() {
                text += &format!("\n{title}\n\n{grid}");
            }
        }
        text
    }

    /// The gateway that the ratios of all others refer to: the first one.
    fn base(&self) -> Option<&str> {
        let chat = self.chat.iter().flat_map(|section| section.rounds.iter().map(|(name, _)| name));
        let events = self.events.iter().flat_map(|section| section.rounds.iter().map(|(name, _)| name));
        let rest = self.rest.iter().flat_map(|section| section.rounds.iter().map(|(name, _)| name));
        let commands = self.commands.iter().flat_map(|section| section.rounds.iter().map(|(name, _)| name));
        let mut names = chat.chain(events).chain(commands).chain(rest);
        names.next().map(String::as_str)
    }

    fn costs(&self) -> Grid {
        let mut grid = Grid::of(&self.chat);
        let base = self.base();
        for section in &self.chat {
            let (name, per_token) = (&section.workload.name, section.workload.per_token());
            let unit = if per_token { "token" } else { "request" };
            grid.column(format!("{name} µs/{unit}"), |gateway| section.with_ratio(gateway, base, |one| one.cost));
            if section.workload.held {
                grid.column(format!("{name} KiB/stream"), |gateway| {
                    section.with_ratio(gateway, base, |one| one.memory)
                });
            }
        }
        grid
    }

    fn delays(&self) -> Grid {
        let mut grid = Grid::of(&self.chat);
        for section in &self.chat {
            let times = |one: &completions::Measurement| {
                if section.workload.stream { one.answers.delay } else { one.answers.first }
            };
            grid.column(section.workload.name.clone(), |gateway| section.percentiles(gateway, times));
        }
        grid
    }

    fn firsts(&self) -> Grid {
        let mut grid = Grid::of(&self.chat);
        for section in self.chat.iter().filter(|section| section.workload.stream) {
            grid.column(section.workload.name.clone(), |gateway| section.percentiles(gateway, |one| one.answers.first));
        }
        grid
    }

    fn rest_table(&self) -> Grid {
        let mut grid = Grid::of(&self.rest);
        let base = self.base();
        for section in &self.rest {
            let columns: [(&str, Figure); 5] = [
                ("ready after, ms", |one| Some(one.ready)),
                ("MiB at rest", |one| Some(one.memory)),
                ("first question to the local model, ms", |one| Some(one.question?.time)),
                ("MiB afterwards", |one| Some(one.question?.memory)),
                ("program, MiB", |one| Some(one.program)),
            ];
            for (title, value) in columns {
                grid.column(title.to_owned(), |gateway| section.with_ratio(gateway, base, value));
            }
        }
        grid
    }

    fn commands_table(&self) -> Grid {
        let mut grid = Grid::of(&self.commands);
        let base = self.base();
        for section in &self.commands {
            let name = &section.workload.name;
            grid.column(format!("{name}: a second"), |gateway| section.with_ratio(gateway, base, |one| Some(one.rate)));
            grid.column("µs/command".to_owned(), |gateway| section.with_ratio(gateway, base, |one| Some(one.cost)));
            let title = "answer p50 / p99 / p99.9, µs".to_owned();
            grid.column(title, |gateway| section.percentiles(gateway, |one| one.commands.time));
        }
        grid
    }

    fn events_table(&self) -> Grid {
        let mut grid = Grid::of(&self.events);
        let base = self.base();
        for section in &self.events {
            let workload = &section.workload;
            let title = format!("{} KiB/subscriber ({})", workload.name, workload.subscribers);
            grid.column(title, |gateway| section.with_ratio(gateway, base, |one| Some(one.memory)));
            if workload.events > 0 {
                grid.column("µs/delivery".to_owned(), |gateway| section.with_ratio(gateway, base, |one| one.cost));
                let title = "delay p50 / p99 / p99.9, µs".to_owned();
                grid.column(title, |gateway| section.percentiles(gateway, |one| one.deliveries.delay));
            }
        }
        grid
    }
}
