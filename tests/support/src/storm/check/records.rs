//! Compares usage records with requests: one record per admitted request, with what happened.

use super::Case;
use crate::storm::attempts::Attempt;
use crate::storm::fault::Fault;
use crate::storm::records::Row;
use crate::storm::transcript::Ending;

/// The violations in the records of these requests.
pub fn check(cases: &[Case], rows: &[Row]) -> Vec<String> {
    let mut rest: Vec<&Row> = rows.iter().collect();
    let mut found = Vec::new();
    // Requests with an id first. A request without a response head is matched by its prompt; a record without a
    // prompt, by what else it has: several clients of one key may leave requests for one model at once.
    let by_id = |case: &Case, row: &Row| row.request_id == case.observed.request_id;
    let by_prompt = |case: &Case, row: &Row| prompts(case).contains(&row.prompt);
    let freed = |case: &Case, row: &Row| {
        let plan = &case.plan;
        row.prompt == 0 && (&*row.key, &*row.model, row.streamed) == (plan.key.name(), plan.model.name(), plan.streamed)
    };
    let mut open: Vec<&Case> = cases.iter().collect();
    open.sort_by_key(|case| case.observed.request_id.is_none());
    for case in open {
        let known = case.observed.request_id.is_some();
        let at = if known {
            rest.iter().position(|row| by_id(case, row))
        } else {
            let own = rest.iter().position(|row| by_prompt(case, row));
            let fits = || rest.iter().position(|row| freed(case, row) && one(case, row).is_empty());
            own.or_else(fits).or_else(|| rest.iter().position(|row| freed(case, row)))
        };
        let row = at.map(|at| rest.swap_remove(at));
        let objections = match row {
            None if case.is_limited() => Vec::new(),
            None => vec!["no usage record".to_owned()],
            Some(_) if case.is_limited() => vec!["a usage record, but it was not admitted".to_owned()],
            Some(row) => one(case, row).into_iter().map(|what| format!("{what}: {row:?}")).collect(),
        };
        let faults: Vec<Fault> = case.attempts.iter().map(|attempt| attempt.script.fault).collect();
        found.extend(objections.into_iter().map(|what| {
            format!("request {} ({:?}, {faults:?}, {:?}): {what}", case.plan.id, case.plan.client, case.observed.ending)
        }));
    }
    found.extend(rest.into_iter().map(|row| format!("a usage record without a request: {row:?}")));
    found
}

/// The estimate of the prompt, and the number that upstreams report.
const fn prompts(case: &Case) -> [u64; 2] {
    let prompt = case.plan.prompt();
    [prompt, prompt + crate::storm::plan::REPORTED]
}

fn one(case: &Case, row: &Row) -> Vec<String> {
    let plan = &case.plan;
    let mut found = Vec::new();
    if (&*row.key, &*row.model, row.streamed) != (plan.key.name(), plan.model.name(), plan.streamed) {
        found.push(format!("{:?} asked {:?}", plan.key, plan.model));
    }
    if !(1..=3).contains(&row.attempts) {
        found.push("more attempts than are allowed, or none".to_owned());
    }
    let place = case.last().map(|attempt| &attempt.place);
    if row.terminal == "completed" && !row.target.as_ref().zip(place).is_some_and(|(name, at)| name.starts_with(at)) {
        found.push(format!("it was served by {place:?}"));
    }
    found.extend(terminal(case, row));
    found.extend(tokens(case, row));
    found
}

/// The terminal state in the record must fit what the client observed.
fn terminal(case: &Case, row: &Row) -> Option<String> {
    let told = (&*row.terminal, row.reason.as_deref(), row.status);
    let status = case.observed.status.unwrap_or(499);
    let fault = case.last().map(|attempt| attempt.script.fault);
    let due = match &case.observed.ending {
        Ending::Complete => ("completed", None, 200),
        Ending::Failed(code) if code == "storm" && matches!(fault, Some(Fault::Refuse(400 | 429))) => {
            ("refused", Some(&**code), status)
        }
        Ending::Failed(code) => ("failed", Some(&**code), status),
        Ending::Cut => ("client_stalled", None, 499),
        Ending::Left if told.0 == "client_gone" => ("client_gone", None, 499),
        // The answer may have ended before the client left.
        Ending::Left => return left(case, row),
        Ending::Broken(_) => return None,
    };
    (told != due).then(|| format!("told is {told:?}, observed was {due:?}"))
}

/// An answer that had ended before its client left.
fn left(case: &Case, row: &Row) -> Option<String> {
    let ended = match &*row.terminal {
        "completed" => case.last().is_some_and(|attempt| attempt.script.fault.failure().is_none()),
        "failed" | "refused" => row.reason.is_some(),
        _ => false,
    };
    (!ended).then(|| "not how it can have ended".to_owned())
}

fn tokens(case: &Case, row: &Row) -> Option<String> {
    let told = (row.prompt, row.completion);
    let attempt = case.last();
    let reported = attempt.and_then(|attempt| attempt.usage);
    let complete = row.terminal == "completed";
    match row.source.as_deref() {
        Some("exact") if reported == Some(told) => None,
        Some("exact") => Some(format!("the upstream reports {reported:?}")),
        Some("running") => {
            let (least, most) = range(case);
            let frames =
                attempt.map(|attempt| &attempt.frames[least.saturating_sub(1).min(most)..most]).unwrap_or_default();
            let known = frames.iter().any(|sent| sent.usage == Some(told));
            (!known || complete).then(|| "the upstream did not report that while it ran".to_owned())
        }
        Some("counted" | "estimated") if complete && reported.is_some() => {
            Some(format!("the upstream has told: {reported:?}"))
        }
        Some("counted") if row.streamed => counted(case, row),
        Some("estimated") if !row.streamed => {
            let bytes = attempt.and_then(|attempt| attempt.body.as_ref()).map_or(0, |(_, bytes)| *bytes as u64);
            let due = if complete { bytes / 4 } else { 0 };
            (row.completion != due).then(|| format!("{due} tokens are due")).or_else(|| prompt(case, row))
        }
        // No tokens, and no source.
        None if told == (0, 0) && !complete => prompt(case, row),
        source => Some(format!("not a source of this: {source:?}")),
    }
}

/// The range of chunks that the server may have sent: at least what the client received, at most what the upstream
/// sent.
fn range(case: &Case) -> (usize, usize) {
    let (observed, sent) = (case.observed.chunks.len(), case.last().map_or(0, |attempt| attempt.frames.len()));
    match case.observed.ending {
        Ending::Left | Ending::Cut => (observed.min(sent), sent),
        _ => (observed.min(sent), observed.min(sent)),
    }
}

/// One token per chunk; a first chunk without text and the usage chunk do not count.
fn counted(case: &Case, row: &Row) -> Option<String> {
    let count =
        |attempt: &Attempt, chunks: usize| attempt.frames[..chunks].iter().filter(|sent| sent.counts).count() as u64;
    let (least, most) = range(case);
    let (least, most) = case.last().map_or((0, 0), |attempt| (count(attempt, least), count(attempt, most)));
    if !(least..=most).contains(&row.completion) {
        return Some(format!("{least} to {most} tokens are due"));
    }
    prompt(case, row)
}

/// The prompt must be the estimate, or zero where the upstream did no work.
fn prompt(case: &Case, row: &Row) -> Option<String> {
    let estimate = case.plan.prompt();
    let reason = row.reason.as_deref().unwrap_or_default();
    // Where all targets were ejected and one was tried nevertheless, its failure decides.
    let unasked = reason == "upstream_unreachable" || reason == "server_is_overloaded" && case.last().is_none();
    let refused = case.last().is_some_and(|attempt| attempt.script.fault.is_refusal()) && row.reason.is_some();
    // A timeout may have preceded the refusal.
    let refused = refused && !matches!(reason, "upstream_timeout" | "upstream_closed");
    let due = if (unasked || refused) && row.completion == 0 { 0 } else { estimate };
    // The same may be true here; but of an attempt that was made because all were ejected, only that is reported. The
    // upstream has no record of one that it closed before it had read the request.
    let hidden = (refused || case.last().is_none()) && reason == "server_is_overloaded" && row.prompt == estimate;
    // A closed idle connection and the refusal of its replacement are not recorded as an attempt either.
    let vanished = reason == "server_is_overloaded"
        && row.prompt == 0
        && case.last().is_none_or(|attempt| attempt.frames.is_empty());
    (row.prompt != due && !hidden && !vanished).then(|| format!("a prompt of {due} is due"))
}
