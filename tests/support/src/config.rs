//! Configuration files for tests.

use crate::upstream::Upstream;

/// No target is asked twice for one request.
const ONCE: &str = "    retries: {same_target: 0}\n";

/// A file without keys, with one model `m` served by these upstreams, each with more for its own entry; `more` goes to
/// the model's entry, in lines of its own, such as `ejection: {failures: 1}`. Unless they say how often to retry, no target is
/// asked twice for one request: a script is for one answer.
pub fn model(upstreams: &[(&Upstream, &str)], more: &[&str]) -> String {
    let retries = if more.iter().any(|line| line.starts_with("retries:")) { "" } else { ONCE };
    let entry = |(upstream, more): &(&Upstream, &str)| format!("      - {{base_url: '{}', {more}}}\n", upstream.url());
    let entries: String = upstreams.iter().map(entry).collect();
    let more: String = more.iter().map(|line| format!("    {line}\n")).collect();
    format!("auth: none\nmodels:\n  - name: m\n    upstreams:\n{entries}{retries}{more}")
}

/// A file without keys, with one model `m` served by `upstream`; `more` goes to the upstream's entry.
pub fn one_model(upstream: &Upstream, more: &str) -> String {
    model(&[(upstream, more)], &[])
}
