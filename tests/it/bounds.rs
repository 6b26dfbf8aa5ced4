//! The bounds of docs/OPERATIONS.md: each row of the table has tests that drive it to its bound.
//!
//! [`drivers`] names them for each row, with the numbers of the row and the code that they come from. Those that exist
//! for the table alone are in this folder; others belong to their subject or component.

mod browsers;
mod connections;
mod drivers;
mod store;
mod upstreams;

use std::collections::BTreeSet;
use std::path::Path;

use drivers::{Driver, Number, drivers};

/// A row of the table, each cell as it is written.
struct Row {
    what: String,
    total: String,
    share: String,
    at_bound: String,
}

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the table in the section "Bounds".
fn table() -> Vec<Row> {
    let text = source("docs/OPERATIONS.md");
    let (_, section) = text.split_once("\n## Bounds\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut lines = section.lines().filter(|line| line.starts_with('|'));
    let header = lines.next().unwrap_or_default();
    assert_eq!(header, "| what | total | share per key | settings | at the bound |");
    assert!(lines.next().is_some_and(|line| line.starts_with("|---")));
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let [what, total, share, settings, at_bound] = cells.try_into().unwrap_or_else(|cells| panic!("{cells:?}"));
    assert!([&what, &total, &share, &settings, &at_bound].iter().all(|cell| !cell.is_empty()), "{line}");
    Row { what, total, share, at_bound }
}

/// Whether `text` declares this function as a test that runs.
fn has_test(text: &str, function: &str) -> bool {
    let declaration = format!("fn {function}(");
    text.match_indices(&declaration).map(|(at, _)| &text[..at]).any(|before| {
        let begin = before.rfind("\n\n").map_or(0, |at| at + 2);
        let begin = begin.max(before.rfind("}\n").map_or(0, |at| at + 2));
        let attributes = &before[begin..];
        (attributes.contains("#[test]") || attributes.contains("#[tokio::test")) && !attributes.contains("#[ignore")
    })
}

/// The statuses in a text.
fn statuses(text: &str) -> Vec<&str> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| word.len() == 3 && word.starts_with(['4', '5']) && word.parse::<u16>().is_ok()).collect()
}

/// What is wrong with the tests and the numbers that are named for a row.
fn problems(row: &Row, driver: &Driver) -> Vec<String> {
    let mut found = Vec::new();
    let mut sources = String::new();
    for (file, function) in driver.tests {
        let text = source(file);
        if !has_test(&text, function) {
            found.push(format!("{file} has no test {function}"));
        }
        sources.push_str(&text);
    }
    if driver.tests.is_empty() {
        found.push("no test".to_owned());
    }
    for status in statuses(&row.at_bound) {
        if !sources.contains(status) {
            found.push(format!("no test expects {status}"));
        }
    }
    // Every number must come from the code.
    let mut unexplained = format!("{} | {}", row.total, row.share);
    for (text, number) in &driver.numbers {
        if !unexplained.contains(text) {
            found.push(format!("{text:?} is not in the columns of the bounds"));
        }
        unexplained = unexplained.replacen(text, "", 1);
        match number {
            Number::Setting(holds) if *holds => {}
            Number::Setting(_) => found.push(format!("{text:?} is not the default")),
            Number::Constant(file, declaration) if source(file).contains(declaration) => {}
            Number::Constant(file, declaration) => found.push(format!("{text:?}: {file} has no {declaration:?}")),
        }
    }
    if unexplained.split([' ', '(']).any(|word| word.starts_with(|character: char| character.is_ascii_digit())) {
        found.push(format!("a number without a declaration: {unexplained}"));
    }
    found
}

#[test]
fn every_row_of_the_table_has_tests_and_its_numbers_are_those_of_the_code() {
    let (rows, mut drivers) = (table(), drivers());
    let names: BTreeSet<_> = rows.iter().map(|row| row.what.as_str()).collect();
    assert_eq!(names.len(), rows.len(), "a row twice");
    let mut found = Vec::new();
    for row in &rows {
        let Some(at) = drivers.iter().position(|driver| driver.row == row.what) else {
            found.push(format!("{}: no driver", row.what));
            continue;
        };
        let driver = drivers.swap_remove(at);
        found.extend(problems(row, &driver).iter().map(|problem| format!("{}: {problem}", row.what)));
    }
    found.extend(drivers.iter().map(|driver| format!("{}: not in the table", driver.row)));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_test_is_found_only_if_it_runs() {
    let text = "#[test]\nfn one() {\n}\n\n#[tokio::test(start_paused = true)]\nasync fn two() {\n}\n\n\
                fn three() {\n}\n\n#[test]\n#[ignore]\nfn four() {\n}\n";
    let found = ["one", "two", "three", "four", "five"].map(|function| has_test(text, function));
    assert_eq!(found, [true, true, false, false, false]);
    assert_eq!(statuses("503; the key's share: 429, `retry-after: 1`"), ["503", "429"]);
}
