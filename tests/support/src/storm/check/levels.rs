//! Resources that must be back at their level when all requests are over: gauges, permits, token budgets and memory.

use crate::storm::records::Row;

/// Allowed growth of resident memory from the first batch to the second, bytes.
pub const GROWTH: u64 = 256 << 20;

/// Gauges and counters that must be zero.
const ZERO: &[&str] = &[
    "petstream_requests_in_flight",
    "petstream_streams_in_flight",
    "petstream_usage_queue_length",
    "petstream_usage_records_dropped_total",
];

/// The labels and values of the metric `name`.
fn series<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    page.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, value))
    })
}

/// The series of [`ZERO`] that are not zero in this text of metrics.
pub fn gauges(page: &str) -> Vec<String> {
    let one = |name: &&'static str| {
        let name = *name;
        let mut found: Vec<String> = series(page, name)
            .filter(|(_, value)| *value != "0")
            .map(|(labels, value)| format!("{name}{labels} is {value}"))
            .collect();
        if series(page, name).next().is_none() {
            found.push(format!("{name} is not on the page"));
        }
        found
    };
    ZERO.iter().flat_map(one).collect()
}

/// Compares the metrics with the records: tokens by source, and requests by terminal state.
pub fn counters(page: &str, rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, metric: u64, records: u64| {
        if metric != records {
            found.push(format!("{what}: {metric} in the metrics, {records} in the records"));
        }
    };
    let metric = |name: &str, with: &[String]| -> u64 {
        let all = series(page, name).filter(|(labels, _)| with.iter().all(|label| labels.contains(label)));
        all.map(|(_, value)| value.parse::<u64>().unwrap_or(u64::MAX / 1024)).sum()
    };
    for source in ["exact", "running", "counted", "estimated"] {
        let of = |tokens: fn(&Row) -> u64| -> u64 {
            rows.iter().filter(|row| row.source.as_deref() == Some(source)).map(tokens).sum()
        };
        for (kind, records) in [("input", of(|row| row.prompt)), ("output", of(|row| row.completion))] {
            let labels = [format!("source=\"{source}\""), format!("gen_ai_token_type=\"{kind}\"")];
            compare(format!("{source} {kind} tokens"), metric("petstream_tokens_total", &labels), records);
        }
    }
    for state in ["completed", "refused", "failed", "client_gone", "client_stalled", "budget_spent", "shutdown"] {
        let records = rows.iter().filter(|row| row.terminal == state).count() as u64;
        let name = "gen_ai_server_request_duration_seconds_count";
        compare(format!("requests that {state}"), metric(name, &[format!("terminal=\"{state}\"")]), records);
    }
    found
}

/// As many streams as the limit allows must have been opened. Where servers lost touch with each other meanwhile
/// (`outages`), each of them may have opened its share again.
pub fn permits(whose: &str, limit: usize, opened: usize, outages: bool) -> Vec<String> {
    let most = if outages { 2 * limit } else { limit };
    let wrong = !(limit..=most).contains(&opened);
    wrong.then(|| format!("{whose} may open {limit} to {most} streams, and could open {opened}")).into_iter().collect()
}

/// Whether all servers share their limits now, or none does.
pub fn shares_limits(page: &str) -> bool {
    series(page, "petstream_limits_mode").all(|(labels, value)| labels.contains("shared") == (value == "1"))
}

/// How often limits were not shared, of all servers.
pub fn outages(page: &str) -> u64 {
    series(page, "petstream_limits_outages_total").map(|(_, value)| value.parse::<u64>().unwrap_or(u64::MAX)).sum()
}

/// While the clock of the limits is paused, the tokens taken from a budget must equal those in the records.
pub fn budget(limit: u64, remaining: u64, rows: &[Row]) -> Vec<String> {
    let spent: u64 = rows.iter().map(|row| row.prompt + row.completion).sum();
    let gone = limit.saturating_sub(remaining);
    let wrong = gone != spent;
    wrong.then(|| format!("{gone} tokens are gone from the budget, {spent} are in the records")).into_iter().collect()
}

/// Compares the memory after the two batches. Upstreams, clients and server share this process, and the allocator
/// keeps memory of floods, so that the bound is wide: it detects a leak per request.
pub fn memory(first: u64, second: u64) -> Vec<String> {
    let growth = second.saturating_sub(first);
    let wrong = growth > GROWTH;
    wrong.then(|| format!("{} MiB more than after the first storm", growth >> 20)).into_iter().collect()
}

/// Resident memory now, bytes; none on systems without procfs.
pub fn resident() -> Option<u64> {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE)
}
