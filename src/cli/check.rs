//! `petstream check`: every mistake of the configuration at once.

use petstream::config::{Sources, load};

use super::{Failure, answer, note};

pub(super) fn check(sources: &Sources) -> Result<(), Failure> {
    let loaded = load(sources).map_err(Failure::Configuration)?;
    for warning in &loaded.warnings {
        note(&format!("warning: {warning}"));
    }
    let source = loaded.file.map_or("no file, defaults and environment".to_owned(), |file| file.display().to_string());
    answer(&format!("OK ({source})\n"))
}
