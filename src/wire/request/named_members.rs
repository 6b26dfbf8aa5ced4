//! The members of a request of an operation beside chat: those that are named, as slices of the body.

use super::invalid_request::InvalidRequest;
use super::known_members::{ReadError, other_model};
use super::param::folded;
use super::rules::{RequestRules, UnknownMembers};
use super::values::present;
use crate::wire::scan::{Malformed, Scanner};

/// The members of a request under the names that OpenAI's API defines for its operation.
pub(super) struct NamedMembers<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<&'a str>; N],
    /// The path of the first member that may name other models than `model`.
    pub(super) other_models: Option<Box<str>>,
}

impl<'a, const N: usize> NamedMembers<'a, N> {
    /// Reads a body. A named member that is repeated is invalid, and so is one under a name that some servers take for
    /// it.
    pub(super) fn read(
        text: &'a str,
        names: &'static [&'static str; N],
        rules: &RequestRules,
    ) -> Result<Self, ReadError> {
        let mut members = Self { names, values: [None; N], other_models: None };
        let mut invalid = None;
        // The body's own object is one level.
        let mut scanner = Scanner::new(text).with_max_depth(rules.json_depth.saturating_sub(1));
        let scanned = scanner.object(|scanner, key| {
            let value = scanner.value()?;
            members.member(&key, value, rules.unknown).map_err(|error| error.stop(&mut invalid))
        });
        match scanned.and_then(|()| scanner.end()) {
            Ok(()) => Ok(members),
            Err(Malformed) => Err(invalid.map_or(ReadError::Malformed, ReadError::Invalid)),
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
        if self.other_models.is_none() {
            self.other_models = other_model(name, value)?;
        }
        Ok(())
    }

    /// The JSON of a member; none where it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        present(self.raw(name))
    }

    /// As [`NamedMembers::get`], but `null` is returned.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.position(name).and_then(|at| self.values[at])
    }
}
