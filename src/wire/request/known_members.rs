//! The members of a request that OpenAI's API defines, read in one pass. Of other members nothing is kept but the first
//! name that may select another model.

use super::invalid_request::InvalidRequest;
use super::param::{Param, folded, holds_parameters, names_models};
use super::prompt_size::{PromptSize, plain_messages};
use super::rules::{RequestRules, UnknownMembers};
use super::values::{present, stop};
use crate::wire::members::nests_deeper_than;
use crate::wire::scan::{Malformed, Scanner};

/// The members of a request that OpenAI's API defines, as slices of the body.
#[derive(Debug)]
pub struct KnownMembers<'a> {
    /// Indexed by [`Param`].
    values: [Option<&'a str>; Param::COUNT],
    /// The members in the order of the body; the first `count` are set.
    order: [Option<Param>; Param::COUNT],
    count: usize,
    /// The size of `messages`, if they are [plain](plain_messages) and so need no further checks.
    pub(super) plain_prompt: Option<PromptSize>,
    /// The path of the first member that may name other models than `model`.
    pub(super) other_models: Option<Box<str>>,
}

impl<'a> KnownMembers<'a> {
    /// The JSON of a member, without white space around it. None where it is absent or null.
    #[must_use]
    pub fn get(&self, param: Param) -> Option<&'a str> {
        present(self.raw(param))
    }

    /// As [`KnownMembers::get`], but `null` is returned.
    pub(super) const fn raw(&self, param: Param) -> Option<&'a str> {
        self.values[param as usize]
    }

    /// All members that are not null, in the order of the body.
    pub(super) fn all(&self) -> impl Iterator<Item = (Param, &'a str)> {
        self.order[..self.count].iter().flatten().filter_map(|param| Some((*param, self.get(*param)?)))
    }

    /// Reads a body. A known member that is repeated is invalid, and so is one under a name that some servers take for
    /// it.
    pub(super) fn read(text: &'a str, rules: &RequestRules) -> Result<Self, ReadError> {
        let mut members = Self {
            values: [None; Param::COUNT],
            order: [None; Param::COUNT],
            count: 0,
            plain_prompt: None,
            other_models: None,
        };
        let mut invalid = None;
        // The body's own object is one level.
        let mut scanner = Scanner::new(text).with_max_depth(rules.json_depth.saturating_sub(1));
        let scanned = scanner.object(|scanner, key| match Param::from_name(&key) {
            Some(param) => members.read_known(scanner, param).map_err(|error| error.stop(&mut invalid)),
            None => members.read_unknown(scanner, &key, rules.unknown).map_err(|error| error.stop(&mut invalid)),
        });
        match scanned.and_then(|()| scanner.end()) {
            Ok(()) => Ok(members),
            Err(Malformed) => Err(invalid.map_or(ReadError::Malformed, ReadError::Invalid)),
        }
    }

    fn read_known(&mut self, scanner: &mut Scanner<'a>, param: Param) -> Result<(), ReadError> {
        if self.raw(param).is_some() {
            return Err(ReadError::Invalid(InvalidRequest::repeated(param.name())));
        }
        let messages = if param == Param::Messages { plain_messages(scanner) } else { None };
        let value = match messages {
            Some((value, prompt)) => {
                self.plain_prompt = Some(prompt);
                value
            }
            None => scanner.value()?,
        };
        self.values[param as usize] = Some(value);
        self.order[self.count] = Some(param);
        self.count += 1;
        Ok(())
    }

    fn read_unknown(&mut self, scanner: &mut Scanner<'a>, key: &str, unknown: UnknownMembers) -> Result<(), ReadError> {
        let folded = folded(key);
        let name = folded.as_deref().unwrap_or(key);
        if let Some(known) = Param::from_name(name) {
            return Err(ReadError::Invalid(InvalidRequest::misspelt(key, known.name())));
        }
        if unknown == UnknownMembers::Refuse {
            return Err(ReadError::Invalid(InvalidRequest::unknown(key)));
        }
        let value = scanner.value()?;
        if self.other_models.is_none() {
            self.other_models = other_model(name, value)?;
        }
        Ok(())
    }
}

/// The path at which the top-level member `name` may name other models than `model`, if it may.
pub(super) fn other_model(name: &str, value: &str) -> Result<Option<Box<str>>, Malformed> {
    match name {
        _ if value == "null" => Ok(None),
        _ if names_models(name) => Ok(Some(name.into())),
        _ if holds_parameters(name) => nested_model(&mut Scanner::new(value), name, MAX_LEVELS),
        _ => Ok(None),
    }
}

/// How deep nested parameters are searched for models. Deeper ones count as naming a model.
pub(in crate::wire) const MAX_LEVELS: usize = 8;

/// The path of the first member within the value at `path` that may name a model.
pub(in crate::wire) fn nested_model(
    scanner: &mut Scanner<'_>,
    path: &str,
    levels: usize,
) -> Result<Option<Box<str>>, Malformed> {
    let mut found = None;
    match scanner.peek() {
        Some(b'{' | b'[') if levels == 0 => {
            scanner.value()?;
            found = Some(path.into());
        }
        Some(b'{') => scanner.object(|scanner, key| {
            let folded = folded(&key);
            let name = folded.as_deref().unwrap_or(&key);
            let names_model = name == "model" || names_models(name);
            if found.is_some() || (names_model && scanner.peek() != Some(b'n')) {
                scanner.value()?;
                found.get_or_insert_with(|| format!("{path}.{name}").into());
                return Ok(());
            }
            found = nested_model(scanner, path, levels - 1)?;
            Ok(())
        })?,
        Some(b'[') => scanner.array(|scanner| {
            let nested = nested_model(scanner, path, levels - 1)?;
            found = found.take().or(nested);
            Ok(())
        })?,
        _ => drop(scanner.value()?),
    }
    Ok(found)
}

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Malformed,
    Invalid(InvalidRequest),
}

impl ReadError {
    /// The error for the client that sent `body`.
    pub(super) fn of(self, body: &[u8], rules: &RequestRules) -> InvalidRequest {
        match self {
            Self::Invalid(invalid) => invalid,
            Self::Malformed if nests_deeper_than(body, rules.json_depth) => InvalidRequest::too_deep(rules.json_depth),
            Self::Malformed => InvalidRequest::unreadable(),
        }
    }

    pub(super) fn stop(self, invalid: &mut Option<InvalidRequest>) -> Malformed {
        match self {
            Self::Malformed => Malformed,
            Self::Invalid(error) => stop(invalid, error),
        }
    }
}

impl From<Malformed> for ReadError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
