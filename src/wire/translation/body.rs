//! The members of a request's body.

use crate::wire::members::nests_deeper_than;
use crate::wire::request::{
    InvalidRequest, MAX_LEVELS, Path, RequestRules, UnknownMembers, each_member, folded, holds_parameters,
    names_models, nested_model, present, quoted, stop,
};
use crate::wire::scan::{Malformed, Scanner};

/// The members of a body that its API defines, as slices of it; of others only names are kept.
#[derive(Debug)]
pub(in crate::wire) struct Body<'a> {
    names: &'static [&'static str],
    /// One for each name.
    values: Vec<Option<&'a str>>,
    /// The first member that the API does not define and that is not null.
    pub(in crate::wire) unknown: Option<Box<str>>,
    /// The path of the first member that may name other models than `model`.
    pub(in crate::wire) other_models: Option<Box<str>>,
}

impl<'a> Body<'a> {
    /// Reads a body. A member of `names` that is repeated is invalid, and so is one under a name that some servers take
    /// for it.
    pub(in crate::wire) fn read(
        text: &'a str,
        names: &'static [&'static str],
        rules: &RequestRules,
    ) -> Result<Self, InvalidRequest> {
        let mut body = Self { names, values: vec![None; names.len()], unknown: None, other_models: None };
        let mut invalid = None;
        // The body's own object is one level.
        let mut scanner = Scanner::new(text).with_max_depth(rules.json_depth.saturating_sub(1));
        let scanned = scanner.object(|scanner, key| {
            let value = scanner.value()?;
            body.member(&key, value, rules.unknown).map_err(|error| stop(&mut invalid, error))
        });
        match (scanned.and_then(|()| scanner.end()), invalid) {
            (Ok(()), _) => Ok(body),
            (Err(Malformed), Some(invalid)) => Err(invalid),
            (Err(Malformed), None) if nests_deeper_than(text.as_bytes(), rules.json_depth) => {
                Err(InvalidRequest::too_deep(rules.json_depth))
            }
            (Err(Malformed), None) => Err(InvalidRequest::unreadable()),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    fn member(&mut self, key: &str, value: &'a str, unknown: UnknownMembers) -> Result<(), InvalidRequest> {
        if let Some(at) = self.position(key) {
            return match self.values[at].replace(value) {
                Some(_) => Err(InvalidRequest::repeated(key)),
                None => Ok(()),
            };
        }
        let folded = folded(key);
        let name = folded.as_deref().unwrap_or(key);
        if let Some(at) = self.position(name) {
            return Err(InvalidRequest::misspelt(key, self.names[at]));
        }
        if unknown == UnknownMembers::Refuse {
            return Err(InvalidRequest::unknown(key));
        }
        if value == "null" {
            return Ok(());
        }
        self.unknown.get_or_insert_with(|| quoted(key).into());
        if self.other_models.is_none() {
            if names_models(name) {
                self.other_models = Some(name.into());
            } else if holds_parameters(name) {
                self.other_models = nested_model(&mut Scanner::new(value), name, MAX_LEVELS)
                    .map_err(|Malformed| InvalidRequest::unreadable())?;
            }
        }
        Ok(())
    }

    /// The JSON of a member, without white space around it. None where it is absent or null.
    pub(in crate::wire) fn get(&self, name: &str) -> Option<&'a str> {
        present(self.raw(name))
    }

    /// As [`Body::get`], but `null` is returned.
    pub(in crate::wire) fn raw(&self, name: &str) -> Option<&'a str> {
        let at = self.position(name);
        debug_assert!(at.is_some(), "'{name}' is not among the names that were read");
        self.values[at?]
    }

    /// Fails for the first member that is set and not in `supported`.
    pub(in crate::wire) fn refuse_untranslatable(&self, supported: &[&str]) -> Result<(), InvalidRequest> {
        let set = self.names.iter().filter(|name| self.get(name).is_some());
        let first = set.copied().find(|name| !supported.contains(name)).or(self.unknown.as_deref());
        first.map_or(Ok(()), |name| Err(InvalidRequest::untranslatable(name)))
    }
}

/// Fails for the first member of the object at `path` that is set and is not `supported`.
pub(in crate::wire) fn refuse_others(path: Path<'_>, value: &str, supported: &[&str]) -> Result<(), InvalidRequest> {
    each_member(path, value, |key, value| {
        if value == "null" || supported.contains(&&*key) {
            return Ok(());
        }
        Err(InvalidRequest::untranslatable(Path::member(&path, &quoted(&key))))
    })
    .map(drop)
}

/// As [`refuse_others`], for an object at the top of a body.
pub(in crate::wire) fn refuse_others_of(name: &str, value: &str, supported: &[&str]) -> Result<(), InvalidRequest> {
    each_member(name, value, |key, value| {
        if value == "null" || supported.contains(&&*key) {
            return Ok(());
        }
        Err(InvalidRequest::untranslatable(Path::member(&name, &quoted(&key))))
    })
    .map(drop)
}
