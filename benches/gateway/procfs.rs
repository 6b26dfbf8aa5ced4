//! What a process has used, as Linux tells it.

use std::fs;
use std::time::Duration;

use crate::Done;

/// A tick of `/proc/PID/stat`, the same on every Linux that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// A process and all that came from it.
pub(crate) fn family(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let Ok(entries) = fs::read_dir("/proc") else { return family };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<_> = pids.filter_map(|pid| Some((pid, *stat(pid)?.get(1)?))).collect();
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == u64::from(parent)).map(|(pid, _)| pid));
        at += 1;
    }
    family
}

/// The processor's time that processes have had.
#[derive(Clone, Copy)]
pub(crate) struct ProcessorTime {
    /// The scheduler's own nanoseconds, of all threads that live.
    threads: Duration,
    /// In ticks, but with the threads that have ended.
    ticks: Duration,
}

impl ProcessorTime {
    pub(crate) fn of(pids: &[u32]) -> Self {
        let sum = |time: fn(u32) -> Option<Duration>| pids.iter().filter_map(|pid| time(*pid)).sum();
        Self { threads: sum(threads_time), ticks: sum(ticks) }
    }

    /// What they have had since then: to the nanosecond, unless so much is missing there that threads must have ended.
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

/// The numbers behind the process's name and state.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, numbers) = text.rsplit_once(") ")?;
    // The state is a letter, and some fields can be negative: they keep their places.
    Some(numbers.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

/// The memory that they hold, KiB: what several share is counted once.
pub(crate) fn memory(pids: &[u32]) -> Done<u64> {
    let mut sum = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
        let number = line.split_ascii_whitespace().next().ok_or("no number")?;
        sum += number.parse::<u64>()?;
    }
    Ok(sum)
}
