//! `petstream usage`: sums of the usage records, as a table or JSON.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use petstream::config::{Sources, parse_moment};
use petstream::store::{UsageColumn, UsageCounts, UsageGroup};
use serde_json::{Map, Value, json};

use super::database::{lasting_database, with_store};
use super::failure::{Failure, fault};
use super::output::print;

/// Names of the numeric columns in JSON, in the order of [`numbers`]; the table has them in capitals.
const NUMBERS: [&str; 9] = [
    "requests",
    "failed",
    "client_gone",
    "prompt_tokens",
    "completion_tokens",
    "exact",
    "running",
    "counted",
    "estimated",
];
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Args)]
pub(super) struct Command {
    /// From when on: a UTC day such as 2027-01-31, a moment such as 2027-01-31T12:00:00Z, 7d (today and the six UTC
    /// days before it), or exactly 12h or 30m ago [default: all that is kept]
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Up to when: a UTC day, which is included, or a moment, which is not [default: no end]
    #[arg(long, value_name = "WHEN", value_parser = until)]
    until: Option<Timestamp>,
    /// Columns to group by, in this order: some of key, operation, model, answered (the model
    /// that answered), day, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = column, default_value = "key,model,day")]
    by: Vec<UsageColumn>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, sources: &Sources) -> Result<(), Failure> {
    let database = lasting_database(sources)?;
    if let (Some(since), Some(until)) = (command.since, command.until)
        && since >= until
    {
        return Err(Failure::Usage("--since is not before --until".to_owned()));
    }
    let mut by = command.by.clone();
    by.sort_by_key(|column| command.by.iter().position(|named| named == column));
    by.dedup();
    let groups =
        with_store(&database, async |store| store.usage(command.since, command.until, &by).await.map_err(fault))?;
    let mut total = UsageCounts::default();
    groups.iter().for_each(|group| total.add(&group.counts));
    print(&if command.json { as_json(&groups, &total) } else { as_table(&groups, &total, &by) })
}

/// The counts in the order of [`NUMBERS`].
const fn numbers(counts: &UsageCounts) -> [u64; NUMBERS.len()] {
    let UsageCounts {
        requests,
        failed,
        client_gone,
        prompt_tokens,
        completion_tokens,
        exact,
        running,
        counted,
        estimated,
    } = *counts;
    [requests, failed, client_gone, prompt_tokens, completion_tokens, exact, running, counted, estimated]
}

fn as_json(groups: &[UsageGroup], total: &UsageCounts) -> String {
    let sums = |counts: &UsageCounts| NUMBERS.into_iter().map(str::to_owned).zip(numbers(counts).map(Value::from));
    let object = |group: &UsageGroup| {
        let mut object = Map::new();
        if let Some((id, name)) = &group.key {
            object.insert("key_id".to_owned(), json!(id));
            object.insert("key".to_owned(), json!(name));
        }
        object.extend(group.operation.iter().map(|operation| ("operation".to_owned(), json!(operation))));
        object.extend(group.model.iter().map(|model| ("model".to_owned(), json!(model))));
        object.extend(group.answered.iter().map(|model| ("answered_model".to_owned(), json!(model))));
        object.extend(group.day.iter().map(|day| ("day".to_owned(), json!(day))));
        object.extend(sums(&group.counts));
        object
    };
    let data: Vec<_> = groups.iter().map(object).collect();
    let answer = json!({ "data": data, "total": sums(total).collect::<Map<_, _>>() });
    format!("{answer}\n")
}

fn as_table(groups: &[UsageGroup], total: &UsageCounts, by: &[UsageColumn]) -> String {
    let title = |column: &UsageColumn| match column {
        UsageColumn::Key => "KEY".to_owned(),
        UsageColumn::Operation => "OPERATION".to_owned(),
        UsageColumn::Model => "MODEL".to_owned(),
        UsageColumn::Answered => "ANSWERED".to_owned(),
        UsageColumn::Day => "DAY".to_owned(),
    };
    let cell = |group: &UsageGroup, column: &UsageColumn| match column {
        UsageColumn::Key => group.key.as_ref().map(|(_, name)| printable(name)).unwrap_or_default(),
        UsageColumn::Operation => group.operation.as_deref().map(printable).unwrap_or_default(),
        UsageColumn::Model => group.model.as_deref().map(printable).unwrap_or_default(),
        UsageColumn::Answered => group.answered.iter().flatten().map(|model| printable(model)).collect(),
        UsageColumn::Day => group.day.map(|day| day.to_string()).unwrap_or_default(),
    };
    let shown = |counts: &UsageCounts| numbers(counts).map(|number| number.to_string());
    let mut rows = Vec::with_capacity(groups.len() + 2);
    let titles = NUMBERS.map(|name| name.replace('_', " ").to_uppercase());
    rows.push(by.iter().map(title).chain(titles).collect());
    rows.extend(groups.iter().map(|group| {
        let cells = by.iter().map(|column| cell(group, column));
        cells.chain(shown(&group.counts)).collect::<Vec<_>>()
    }));
    let blank = (1..by.len()).map(|_| String::new());
    rows.push(std::iter::once("TOTAL".to_owned()).chain(blank).chain(shown(total)).collect());
    aligned(&rows, by.len())
}

/// Columns two blanks apart: the first `texts` aligned to the left, the others to the right.
fn aligned(rows: &[Vec<String>], texts: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < texts { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

/// Escapes control characters and bidirectional marks: clients choose the names of models, and a name must not be able
/// to control the terminal.
fn printable(text: &str) -> String {
    let is_control = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

fn column(text: &str) -> Result<UsageColumn, String> {
    match text.trim() {
        "key" => Ok(UsageColumn::Key),
        "operation" => Ok(UsageColumn::Operation),
        "model" => Ok(UsageColumn::Model),
        "answered" => Ok(UsageColumn::Answered),
        "day" => Ok(UsageColumn::Day),
        _ => Err("expected some of key, operation, model, answered, day".to_owned()),
    }
}

fn since(text: &str) -> Result<Timestamp, String> {
    let at = parse_moment(text).or_else(|| back(text, Timestamp::now()));
    at.ok_or_else(|| "expected a day such as 2027-01-31, a moment, or a time back such as 7d or 12h".to_owned())
}

/// Parses the end of a range: a moment as it is, a day as the beginning of the next one.
fn until(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse::<Timestamp>().ok();
    let at = moment.or_else(|| parse_moment(text)?.checked_add(DAY).ok());
    at.ok_or_else(|| "expected a day such as 2027-01-31 or a moment such as 2027-01-31T12:00:00Z".to_owned())
}

/// Parses a time back from `now`. Days are whole UTC days and include today: a sum over part of a day would look like
/// one over all of it.
fn back(text: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    let number: i64 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok()).flatten()?;
    let ago = |minutes: i64| Some(SignedDuration::from_secs(number.checked_mul(minutes * 60)?));
    match unit {
        _ if number == 0 => None,
        'm' => now.checked_sub(ago(1)?).ok(),
        'h' => now.checked_sub(ago(60)?).ok(),
        'd' => {
            let today = now.to_zoned(TimeZone::UTC).start_of_day().ok()?.timestamp();
            today.checked_sub(ago(24 * 60)?.checked_sub(DAY)?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_back_are_whole_days_and_hours_are_exact() {
        let now = moment("2026-03-02T05:30:00Z");
        let cases = [
            ("1d", "2026-03-02T00:00:00Z"),
            ("7d", "2026-02-24T00:00:00Z"),
            ("12h", "2026-03-01T17:30:00Z"),
            ("45m", "2026-03-02T04:45:00Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(back(text, now), Some(moment(expected)), "{text}");
        }
        for wrong in ["", "d", "0d", "-1d", "+1d", "7", "7y", "1.5d", "9223372036854775807d", "999999999d", "٣d"] {
            assert_eq!(back(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn an_end_that_is_a_day_includes_it_and_a_moment_is_exclusive() {
        assert_eq!(until("2026-01-31"), Ok(moment("2026-02-01T00:00:00Z")));
        assert_eq!(until("2026-01-31T10:00:00+02:00"), Ok(moment("2026-01-31T08:00:00Z")));
        assert_eq!(since("2026-01-31"), Ok(moment("2026-01-31T00:00:00Z")));
        assert!(until("7d").is_err() && since("yesterday").is_err());
    }

    #[test]
    fn texts_are_aligned_to_the_left_and_numbers_to_the_right() {
        let rows = [["KEY", "N"], ["ééééé", "7"], ["k", "1000"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows, 1), "KEY       N\nééééé     7\nk      1000\n");
    }

    #[test]
    fn control_characters_in_names_are_escaped() {
        assert_eq!(printable("gpt\u{1b}[2J\n\u{202e}é"), "gpt\\u{1b}[2J\\n\\u{202e}é");
    }
}
