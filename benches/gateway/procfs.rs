//! Processor time and memory of processes, read from `/proc`.

use std::fs;
use std::time::Duration;

use crate::result::Result;

/// The clock tick of `/proc/PID/stat`: 10 ms on all common Linux builds.
const TICK: Duration = Duration::from_millis(10);

/// The ids of a process and of its descendants.
pub(crate) fn process_tree(root: u32) -> Vec<u32> {
    let mut tree = vec![root];
    let Ok(entries) = fs::read_dir("/proc") else { return tree };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<_> = pids.filter_map(|pid| Some((pid, *stat(pid)?.get(1)?))).collect();
    let mut at = 0;
    while let Some(parent) = tree.get(at).copied() {
        tree.extend(parents.iter().filter(|(_, of)| *of == u64::from(parent)).map(|(pid, _)| pid));
        at += 1;
    }
    tree
}

/// Processor time that processes have used.
#[derive(Clone, Copy)]
pub(crate) struct ProcessorTime {
    /// From the scheduler's counters in nanoseconds; living threads only.
    threads: Duration,
    /// From clock ticks; threads that have ended included.
    ticks: Duration,
}

impl ProcessorTime {
    pub(crate) fn of(pids: &[u32]) -> Self {
        let sum = |time: fn(u32) -> Option<Duration>| pids.iter().filter_map(|pid| time(*pid)).sum();
        Self { threads: sum(threads_time), ticks: sum(ticks) }
    }

    /// The time used since `then`: the precise value, or ticks where it lacks so much that threads must have ended.
    pub(crate) fn since(self, then: Self) -> Duration {
        let threads = self.threads.saturating_sub(then.threads);
        let ticks = self.ticks.saturating_sub(then.ticks);
        if ticks > threads + 3 * TICK { ticks } else { threads }
    }
}

fn threads_time(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let times = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(times.sum()))
}

fn ticks(pid: u32) -> Option<Duration> {
    let stat = stat(pid)?;
    Some(TICK * u32::try_from(stat.get(11)? + stat.get(12)?).ok()?)
}

/// The numeric fields of `/proc/PID/stat`, after the name of the process.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, numbers) = text.rsplit_once(") ")?;
    // The state is a letter, and some fields can be negative: they become 0, so that indices stay right.
    Some(numbers.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

/// The proportional set size of these processes, KiB: shared pages are counted once.
pub(crate) fn memory(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
        let number = line.split_ascii_whitespace().next().ok_or("no number")?;
        sum += number.parse::<u64>()?;
    }
    Ok(sum)
}
