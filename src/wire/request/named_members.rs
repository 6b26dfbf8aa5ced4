//! The members of a body of any API but chat completions: those that are named, as slices of the body.

use super::invalid_request::{InvalidRequest, quoted};
use super::known_members::{ReadError, other_model};
use super::param::folded;
use super::rules::{RequestRules, UnknownMembers};
use super::values::present;
use crate::wire::scan::{Malformed, Scanner};

/// The members of a body under the names that its API defines; of others only names are kept.
#[derive(Debug)]
pub(in crate::wire) struct NamedMembers<'a> {
    names: &'static [&'static str],
    /// One for each name.
    values: Vec<Option<&'a str>>,
    /// The first member that the API does not define and that is not null.
    pub(in crate::wire) unknown: Option<Box<str>>,
    /// The path of the first member that may name other models than `model`.
    pub(in crate::wire) other_models: Option<Box<str>>,
}

impl<'a> NamedMembers<'a> {
    /// Whether the values of a request of `model` must be what the API defines; then members that it does not define are
    /// invalid.
    pub(in crate::wire) fn is_strict(&self, rules: &RequestRules, model: &str) -> Result<bool, InvalidRequest> {
        let is_strict = rules.unknown == UnknownMembers::Refuse || rules.local_model == Some(model);
        match &self.unknown {
            Some(unknown) if is_strict => Err(InvalidRequest::unknown(unknown)),
            _ => Ok(is_strict),
        }
    }

    /// Reads a body. A named member that is repeated is invalid, and so is one under a name that some servers take for
    /// it.
    pub(in crate::wire) fn read(
        text: &'a str,
        names: &'static [&'static str],
        rules: &RequestRules,
    ) -> Result<Self, InvalidRequest> {
        let mut members = Self { names, values: vec![None; names.len()], unknown: None, other_models: None };
        let mut invalid = None;
        // The body's own object is one level.
        let mut scanner = Scanner::new(text).with_max_depth(rules.json_depth.saturating_sub(1));
        let scanned = scanner.object(|scanner, key| {
            let value = scanner.value()?;
            members.member(&key, value, rules.unknown).map_err(|error| error.stop(&mut invalid))
        });
        match scanned.and_then(|()| scanner.end()) {
            Ok(()) => Ok(members),
            Err(Malformed) => Err(invalid.unwrap_or_else(|| ReadError::Malformed.of(text.as_bytes(), rules))),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    fn member(&mut self, key: &str, value: &'a str, unknown: UnknownMembers) -> Result<(), ReadError> {
        if let Some(at) = self.position(key) {
            return match self.values[at].replace(value) {
                Some(_) => Err(ReadError::Invalid(InvalidRequest::repeated(key))),
                None => Ok(()),
            };
        }
        let folded = folded(key);
        let name = folded.as_deref().unwrap_or(key);
        if let Some(at) = self.position(name) {
            return Err(ReadError::Invalid(InvalidRequest::misspelt(key, self.names[at])));
        }
        if unknown == UnknownMembers::Refuse {
            return Err(ReadError::Invalid(InvalidRequest::unknown(key)));
        }
        if value != "null" {
            self.unknown.get_or_insert_with(|| quoted(key).into());
        }
        if self.other_models.is_none() {
            self.other_models = other_model(name, value)?;
        }
        Ok(())
    }

    /// The JSON of a member, without white space around it. None where it is absent or null.
    pub(in crate::wire) fn get(&self, name: &str) -> Option<&'a str> {
        present(self.raw(name))
    }

    /// As [`NamedMembers::get`], but `null` is returned.
    pub(in crate::wire) fn raw(&self, name: &str) -> Option<&'a str> {
        let at = self.position(name);
        debug_assert!(at.is_some(), "'{name}' is not among the names that were read");
        self.values[at?]
    }

    /// The first member that is set and is not `supported`.
    pub(in crate::wire) fn beyond(&self, supported: &[&str]) -> Option<&str> {
        let set = self.names.iter().filter(|name| self.get(name).is_some());
        set.copied().find(|name| !supported.contains(name)).or(self.unknown.as_deref())
    }
}
