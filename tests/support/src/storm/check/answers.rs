//! Compares what a client received with what its upstream sent: the same chunks, and the right ending.

use super::Case;
use crate::storm::attempts::Attempt;
use crate::storm::fault::Fault;
use crate::storm::plan::{Behaviour, Model};
use crate::storm::transcript::Ending;

/// The violations in one answer.
pub fn check(case: &Case) -> Vec<String> {
    let found = copy(case).into_iter().chain(end(case));
    let (plan, observed) = (&case.plan, &case.observed);
    let faults: Vec<Fault> = case.attempts.iter().map(|attempt| attempt.script.fault).collect();
    let whose = || {
        let kind = if plan.streamed { "stream" } else { "plain" };
        format!("request {} ({kind}, {:?}, {:?}, {faults:?}, {:?})", plan.id, plan.model, plan.client, observed.status)
    };
    found.map(|what| format!("{}: {what}", whose())).collect()
}

/// Whether all that the upstream wrote must have reached the server.
fn is_lossless(case: &Case, attempt: &Attempt) -> bool {
    case.plan.model != Model::Hasty && !attempt.script.fault.may_lose() && !attempt.disturbed
}

/// Whether the client must get the chunks before a failure. Chunks before the first token may be held back and
/// dropped, since another upstream can still be tried.
fn must_show(attempt: &Attempt, shown: usize) -> bool {
    shown > 0 || attempt.frames.iter().any(|sent| sent.counts)
}

/// The received chunks must be those that were sent, from the first, without a gap and without chunks of other
/// answers.
fn copy(case: &Case) -> Option<String> {
    let (observed, due) = (&case.observed.chunks, case.due());
    if !case.plan.streamed {
        return body(case);
    }
    for (at, chunk) in observed.iter().enumerate() {
        match due.get(at) {
            Some(sent) if sent == chunk => {}
            Some(sent) => return Some(format!("chunk {at} is {chunk}, sent was {sent}")),
            None => return Some(format!("chunk {at} was never sent: {chunk}")),
        }
    }
    let all = match &case.observed.ending {
        Ending::Complete => true,
        Ending::Failed(_) => {
            case.last().is_some_and(|attempt| is_lossless(case, attempt) && must_show(attempt, observed.len()))
        }
        _ => false,
    };
    (all && observed.len() < due.len()).then(|| format!("{} of {} chunks came", observed.len(), due.len()))
}

fn body(case: &Case) -> Option<String> {
    if case.observed.ending != Ending::Complete {
        return None;
    }
    let sent = case.last().and_then(|attempt| attempt.body.as_ref());
    let same = sent.is_some_and(|(sent, _)| case.observed.chunks == [sent.clone()]);
    (!same).then(|| format!("the body is {:?}, sent was {sent:?}", case.observed.chunks))
}

/// The ending must fit the plan and the attempts.
fn end(case: &Case) -> Option<String> {
    let client = case.plan.client;
    match &case.observed.ending {
        Ending::Broken(what) => Some(what.clone()),
        Ending::Cut if client == Behaviour::Stall => None,
        Ending::Cut => Some("the connection broke without a word".to_owned()),
        Ending::Left => match client {
            Behaviour::LeaveBeforeHead { .. } | Behaviour::LeaveAfter { .. } => None,
            _ => Some("a client that stayed has left".to_owned()),
        },
        Ending::Complete if client == Behaviour::Stall => Some("a reader that stalled was not cut".to_owned()),
        Ending::Complete => match case.last().map(|attempt| attempt.script.fault) {
            Some(fault) if fault.failure().is_none() => None,
            fault => Some(format!("[DONE] or 200 as if all were well, but the upstream's part was {fault:?}")),
        },
        Ending::Failed(code) => failure(case, code),
    }
}

/// Whether the connection of the attempt may have been reset; or that of the next one, before it was recorded, where
/// this attempt failed at its beginning.
fn may_be_torn(attempt: &Attempt) -> bool {
    attempt.disturbed || (attempt.script.fault.failure().is_some() && attempt.frames.is_empty())
}

/// A reported failure must have happened.
fn failure(case: &Case, code: &str) -> Option<String> {
    if case.is_limited() {
        let asked = case.attempts.len();
        return (asked > 0).then(|| format!("refused by a limit, yet {asked} upstreams were asked"));
    }
    let status = case.observed.status.unwrap_or_default();
    let last = case.last();
    let happened = |(its_status, its_code): (u16, &str)| its_code == code && (status == 200 || status == its_status);
    let own = last.and_then(|attempt| attempt.script.fault.failure()).is_some_and(happened);
    let shaken = matches!(case.plan.model, Model::Pair | Model::Tiers);
    let honest = own
        || (case.plan.model == Model::Hasty && happened((504, "upstream_timeout")))
        || (shaken && last.is_none_or(may_be_torn) && happened((502, "upstream_closed")))
        // Refused connections, perhaps after other failures.
        || (shaken && happened((502, "upstream_unreachable")))
        || (!case.plan.model.is_alone() && happened((503, "server_is_overloaded")));
    if !honest {
        return Some(format!("{status} {code} is not what happened"));
    }
    let sent = last
        .filter(|attempt| is_lossless(case, attempt) && must_show(attempt, 0))
        .map_or(0, |attempt| attempt.frames.len());
    (own && status != 200 && sent > 0).then(|| format!("status {status} after {sent} chunks were there"))
}
