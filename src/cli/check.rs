//! `petstream check`: reports every error and warning of the configuration.

use petstream::config::{Sources, load};

use super::failure::Failure;
use super::output::{note, print};

pub(super) fn check(sources: &Sources) -> Result<(), Failure> {
    let loaded = load(sources).map_err(Failure::Configuration)?;
    for warning in &loaded.warnings {
        note(&format!("warning: {warning}"));
    }
    let source = loaded.file.map_or("no file, defaults and environment".to_owned(), |file| file.display().to_string());
    print(&format!("OK ({source})\n"))
}
