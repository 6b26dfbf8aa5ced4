//! Configuration files for tests.

use crate::upstream::Upstream;

/// Each request goes to the least loaded target.
const SPREAD: &str = "    affinity: off\n";
/// No retry on the same target.
const ONCE: &str = "    retries: {same_target: 0}\n";

/// A configuration without keys, with one model `m` served by these upstreams, each with settings for its entry.
/// `more` are lines for the model's entry, such as `ejection: {failures: 1}`. Unless they set `retries`, no target is
/// tried twice for a request, since a script is for one answer; unless they set `affinity`, equal requests are spread.
pub fn model(upstreams: &[(&Upstream, &str)], more: &[&str]) -> String {
    let retries = if more.iter().any(|line| line.starts_with("retries:")) { "" } else { ONCE };
    let affinity = if more.iter().any(|line| line.starts_with("affinity:")) { "" } else { SPREAD };
    let entry = |(upstream, more): &(&Upstream, &str)| format!("      - {{base_url: '{}', {more}}}\n", upstream.url());
    let entries: String = upstreams.iter().map(entry).collect();
    let more: String = more.iter().map(|line| format!("    {line}\n")).collect();
    format!("auth: none\nmodels:\n  - name: m\n    upstreams:\n{entries}{retries}{affinity}{more}")
}

/// A configuration without keys, with one model `m` served by `upstream`; `more` are settings for the upstream's
/// entry.
pub fn one_model(upstream: &Upstream, more: &str) -> String {
    model(&[(upstream, more)], &[])
}
