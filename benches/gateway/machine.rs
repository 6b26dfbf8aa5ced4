//! The machine that the measurement ran on.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// A description of this machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (processors, memory, release) = (read("/proc/cpuinfo"), read("/proc/meminfo"), read("/etc/os-release"));
        let memory = after(&memory, "MemTotal:").and_then(|text| text.split(' ').next()?.parse().ok());
        Self {
            processor: after(&processors, "model name")
                .map_or("unknown", |text| text.trim_start_matches([':', ' ']))
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory.unwrap_or(0_u64) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: after(&release, "PRETTY_NAME=").unwrap_or("Linux").trim_matches('"').to_owned(),
        }
    }
}

/// The rest of the first line that begins with `begin`.
fn after<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(begin)).map(str::trim)
}

/// The first line that `program` prints when started with `flag`.
pub(crate) fn program_version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    // nginx prints it to stderr.
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).lines().next()?.to_owned())
}
