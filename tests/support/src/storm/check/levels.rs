//! What must be back at its level when nobody is there any more: gauges, permits, token budgets, memory.

use crate::storm::records::Row;

/// Most that may be resident after the second storm and was not after the first, bytes.
pub const GROWTH: u64 = 256 << 20;

/// Gauges that must be zero, and counters that must never have moved.
const ZERO: &[&str] = &[
    "petstream_requests_in_flight",
    "petstream_streams_in_flight",
    "petstream_usage_queue_length",
    "petstream_usage_records_dropped_total",
];

/// The series `name` of a page of metrics: labels and values.
fn series<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    page.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then_some((labels, value))
    })
}

/// What on a page of metrics is not zero.
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

/// Whether the metrics have counted the tokens of the records, by source, and how they ended.
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

/// Of a limit of streams at once, all places must be free.
pub fn permits(whose: &str, limit: usize, opened: usize) -> Vec<String> {
    let wrong = opened != limit;
    wrong.then(|| format!("{whose} may open {limit} streams, and could open {opened}")).into_iter().collect()
}

/// While the clock of the limits stands still, what is gone from a budget is what the records say.
pub fn budget(limit: u64, remaining: u64, rows: &[Row]) -> Vec<String> {
    let spent: u64 = rows.iter().map(|row| row.prompt + row.completion).sum();
    let gone = limit.saturating_sub(remaining);
    let wrong = gone != spent;
    wrong.then(|| format!("{gone} tokens are gone from the budget, {spent} are in the records")).into_iter().collect()
}

/// Memory after the first storm and after the second. Upstreams, clients and server share this process, and each thread's
/// allocator keeps what floods took, so the bound is wide: it notices what every request leaves behind.
pub fn memory(first: u64, second: u64) -> Vec<String> {
    let growth = second.saturating_sub(first);
    let wrong = growth > GROWTH;
    wrong.then(|| format!("{} MiB more than after the first storm", growth >> 20)).into_iter().collect()
}

/// What is resident now, bytes; none where the system does not tell.
pub fn resident() -> Option<u64> {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE)
}
