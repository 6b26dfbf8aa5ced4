//! What stands in a body: its known members, in one pass and without a list of the others.

use super::invalid::Invalid;
use super::known::{Param, folded, holds_parameters, names_models};
use super::prompt::{Prompt, plain};
use super::shape::{keep, present};
use super::{Rules, Unknown};
use crate::wire::scan::{Malformed, Scanner};

/// The known members of a request, as they are written.
#[derive(Debug)]
pub struct Given<'a> {
    /// By the order of [`Param`].
    values: [Option<&'a str>; Param::COUNT],
    /// Where they stand, in their order.
    order: [Option<Param>; Param::COUNT],
    count: usize,
    /// What `messages` come to, if they need no further look.
    pub(super) plain: Option<Prompt>,
    /// The first member that may name other models than `model`.
    pub(super) other_models: Option<Box<str>>,
}

impl<'a> Given<'a> {
    /// The value of a member, as written, without white space around it. `null` equals absent.
    #[must_use]
    pub fn get(&self, param: Param) -> Option<&'a str> {
        present(self.raw(param))
    }

    /// As [`Given::get`], but that a null is one.
    pub(super) const fn raw(&self, param: Param) -> Option<&'a str> {
        self.values[param as usize]
    }

    /// All that have a value, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (Param, &'a str)> {
        self.order[..self.count].iter().flatten().filter_map(|param| Some((*param, self.get(*param)?)))
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`Invalid`] for a known member that stands twice, or under a name that some readers take for it.
    pub(super) fn read(text: &'a str, rules: &Rules) -> Result<Self, Reading> {
        let mut given = Self {
            values: [None; Param::COUNT],
            order: [None; Param::COUNT],
            count: 0,
            plain: None,
            other_models: None,
        };
        let mut refused = None;
        // The body itself is an object.
        let mut scanner = Scanner::new(text).no_deeper_than(rules.json_depth.saturating_sub(1));
        let read = scanner.object(|scanner, key| match Param::from_name(&key) {
            Some(param) => given.take(scanner, param).map_err(|stop| stop.kept(&mut refused)),
            None => given.pass(scanner, &key, rules.unknown).map_err(|stop| stop.kept(&mut refused)),
        });
        match read.and_then(|()| scanner.end()) {
            Ok(()) => Ok(given),
            Err(Malformed) => Err(refused.map_or(Reading::Malformed, Reading::Invalid)),
        }
    }

    fn take(&mut self, scanner: &mut Scanner<'a>, param: Param) -> Result<(), Reading> {
        if self.raw(param).is_some() {
            return Err(Reading::Invalid(Invalid::repeated(param.name())));
        }
        let messages = if param == Param::Messages { plain(scanner) } else { None };
        let value = match messages {
            Some((value, prompt)) => {
                self.plain = Some(prompt);
                value
            }
            None => scanner.value()?,
        };
        self.values[param as usize] = Some(value);
        self.order[self.count] = Some(param);
        self.count += 1;
        Ok(())
    }

    /// Passes over a member that is not known.
    fn pass(&mut self, scanner: &mut Scanner<'a>, key: &str, unknown: Unknown) -> Result<(), Reading> {
        let folded = folded(key);
        let name = folded.as_deref().unwrap_or(key);
        if let Some(known) = Param::from_name(name) {
            return Err(Reading::Invalid(Invalid::misspelt(key, known.name())));
        }
        if unknown == Unknown::Refuse {
            return Err(Reading::Invalid(Invalid::unknown(key)));
        }
        let value = scanner.value()?;
        if self.other_models.is_none() && value != "null" {
            if names_models(name) {
                self.other_models = Some(name.into());
            } else if holds_parameters(name) {
                self.other_models = model_within(&mut Scanner::new(value), name, MAX_LEVELS)?;
            }
        }
        Ok(())
    }
}

/// How deep parameters within others are looked for. What is deeper is refused to keys that are limited to certain models.
const MAX_LEVELS: usize = 8;

/// The path of the first member of a value of `path`, or of what it holds, that may name a model.
fn model_within(scanner: &mut Scanner<'_>, path: &str, levels: usize) -> Result<Option<Box<str>>, Malformed> {
    let mut found = None;
    match scanner.peek() {
        Some(b'{' | b'[') if levels == 0 => {
            scanner.value()?;
            found = Some(path.into());
        }
        Some(b'{') => scanner.object(|scanner, key| {
            let folded = folded(&key);
            let name = folded.as_deref().unwrap_or(&key);
            let names = name == "model" || names_models(name);
            if found.is_some() || (names && scanner.peek() != Some(b'n')) {
                scanner.value()?;
                found.get_or_insert_with(|| format!("{path}.{name}").into());
                return Ok(());
            }
            found = model_within(scanner, path, levels - 1)?;
            Ok(())
        })?,
        Some(b'[') => scanner.array(|scanner| {
            let within = model_within(scanner, path, levels - 1)?;
            found = found.take().or(within);
            Ok(())
        })?,
        _ => drop(scanner.value()?),
    }
    Ok(found)
}

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum Reading {
    Malformed,
    Invalid(Invalid),
}

impl Reading {
    fn kept(self, refused: &mut Option<Invalid>) -> Malformed {
        match self {
            Self::Malformed => Malformed,
            Self::Invalid(invalid) => keep(refused, invalid),
        }
    }
}

impl From<Malformed> for Reading {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
