//! What came out, for people and for machines.

use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::table::{Grid, Section};
use crate::workload::{Audience, Workload};
use crate::{Done, chat, events};

/// Everything that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) tiny: bool,
    pub(crate) rounds: usize,
    pub(crate) dialect: &'static str,
    pub(crate) versions: Vec<Versions>,
    pub(crate) left_out: Vec<String>,
    pub(crate) chat: Vec<Section<Workload, chat::Measurement>>,
    pub(crate) events: Vec<Section<Audience, events::Measurement>>,
}

/// A gateway, and what it says of its version.
#[derive(Serialize)]
pub(crate) struct Versions {
    gateway: String,
    version: String,
}

impl Versions {
    pub(crate) fn new(gateway: &str, version: String) -> Self {
        Self { gateway: gateway.to_owned(), version }
    }
}

impl Report {
    pub(crate) fn write(&self, path: &Path) -> Done<()> {
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
        if self.tiny {
            text += "--tiny: that it works is seen here, the numbers mean nothing\n";
        }
        for (title, grid) in [
            ("The gateway's processor time, µs, and memory, KiB", self.costs()),
            ("Delay of a token; of plain, the whole answer: p50 / p99 / p99.9, µs", self.delays()),
            ("First token: p50 / p99 / p99.9, µs", self.firsts()),
            ("Live events; those of nginx are its module nchan's", self.live()),
        ] {
            if !grid.is_empty() {
                text += &format!("\n{title}\n\n{grid}");
            }
        }
        text
    }

    /// The one that others are measured by.
    fn base(&self) -> Option<&str> {
        let chat = self.chat.iter().flat_map(|section| section.rounds.iter().map(|(name, _)| name));
        let mut names = chat.chain(self.events.iter().flat_map(|section| section.rounds.iter().map(|(name, _)| name)));
        names.next().map(String::as_str)
    }

    fn costs(&self) -> Grid {
        let mut grid = Grid::of(&self.chat);
        let base = self.base();
        for section in &self.chat {
            let (name, per_token) = (&section.workload.name, section.workload.per_token());
            let unit = if per_token { "token" } else { "request" };
            grid.column(format!("{name} µs/{unit}"), |gateway| section.judged(gateway, base, |one| one.cost));
            if section.workload.held {
                grid.column(format!("{name} KiB/stream"), |gateway| section.judged(gateway, base, |one| one.memory));
            }
        }
        grid
    }

    fn delays(&self) -> Grid {
        let mut grid = Grid::of(&self.chat);
        for section in &self.chat {
            let times = |one: &chat::Measurement| if section.workload.stream { one.seen.delay } else { one.seen.first };
            grid.column(section.workload.name.clone(), |gateway| section.spread(gateway, times));
        }
        grid
    }

    fn firsts(&self) -> Grid {
        let mut grid = Grid::of(&self.chat);
        for section in self.chat.iter().filter(|section| section.workload.stream) {
            grid.column(section.workload.name.clone(), |gateway| section.spread(gateway, |one| one.seen.first));
        }
        grid
    }

    fn live(&self) -> Grid {
        let mut grid = Grid::of(&self.events);
        let base = self.base();
        for section in &self.events {
            let audience = &section.workload;
            let title = format!("{} KiB/subscriber ({})", audience.name, audience.subscribers);
            grid.column(title, |gateway| section.judged(gateway, base, |one| Some(one.memory)));
            if audience.events > 0 {
                grid.column("µs/delivery".to_owned(), |gateway| section.judged(gateway, base, |one| one.cost));
                let title = "delay p50 / p99 / p99.9, µs".to_owned();
                grid.column(title, |gateway| section.spread(gateway, |one| one.heard.delay));
            }
        }
        grid
    }
}
