//! Query parameters, read one by one, so that every error names its parameter.

use url::form_urlencoded;

use crate::error::problem::FieldError;

/// Most values that one parameter may list, which bounds the work of a request.
const MAX_VALUES: usize = 50;
/// Longest part of an unknown parameter's name that an error repeats, characters.
const MAX_NAME: usize = 60;

/// The parameters of a query string. Reading removes them; those that are left at the end are unknown.
#[derive(Debug)]
pub(super) struct Parameters {
    given: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// Splits a query string (`a=1&b=2`, percent-encoded). Every text is accepted.
    pub(super) fn read(query: &str) -> Self {
        Self { given: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), errors: Vec::new() }
    }

    /// The values of a parameter that lists several, by commas or by repetition; `expected` describes them in an error.
    pub(super) fn list<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let texts = self.take(name);
        let words: Vec<_> = texts.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
        if words.len() > MAX_VALUES {
            self.refuse(name, format!("must list at most {MAX_VALUES} values"));
            return Vec::new();
        }
        let values: Option<Vec<_>> = words.into_iter().map(read).collect();
        self.or_refuse(name, expected, values).unwrap_or_default()
    }

    /// The value of a parameter that may be given once.
    pub(super) fn one<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        match self.take(name).as_slice() {
            [] => None,
            [text] => {
                let value = read(text);
                self.or_refuse(name, expected, value)
            }
            _ => {
                self.refuse(name, "must be given once".to_owned());
                None
            }
        }
    }

    /// Fails with all errors, unknown parameters included.
    pub(super) fn finish(mut self) -> Result<(), Vec<FieldError>> {
        for (name, _) in std::mem::take(&mut self.given) {
            let name: String = name.chars().take(MAX_NAME).collect();
            self.refuse(&name, "is not a parameter of this resource".to_owned());
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        self.given.extract_if(.., |(given, _)| given == name).map(|(_, text)| text).collect()
    }

    fn or_refuse<T>(&mut self, name: &str, expected: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.refuse(name, format!("must be {expected}"));
        }
        value
    }

    /// Adds an error about a parameter.
    pub(super) fn refuse(&mut self, field: &str, detail: String) {
        self.errors.push(FieldError::parameter(field, detail));
    }
}

/// The path with the same query, but `name` set to `value`; every other parameter stays unchanged.
pub(super) fn path_with(path: &str, query: &str, name: &str, value: &str) -> String {
    let target = format!("{path}?");
    let start = target.len();
    let others = form_urlencoded::parse(query.as_bytes()).filter(|(given, _)| given != name);
    form_urlencoded::Serializer::for_suffix(target, start).extend_pairs(others).append_pair(name, value).finish()
}

/// A parameter that lists values of an enumeration, in any case.
pub(super) fn named<T: Copy>(
    given: &mut Parameters,
    parameter: &str,
    all: &[T],
    name: fn(T) -> &'static str,
    from_name: fn(&str) -> Option<T>,
) -> Vec<T> {
    let expected = one_of(all.iter().map(|value| name(*value)));
    given.list(parameter, &expected, |word| from_name(&word.to_ascii_uppercase()))
}

/// The words as a text for an error: `one of a, b`.
pub(super) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("one of {}", words.collect::<Vec<_>>().join(", "))
}

/// A number that is written in digits only.
pub(super) fn read_number(text: &str) -> Option<u32> {
    if is_digits(text) { text.parse().ok() } else { None }
}

/// Whether `text` is digits, at least one, and nothing else.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<u32> {
        text.parse().ok()
    }

    #[test]
    fn a_list_is_split_at_commas_and_repetitions() {
        let mut parameters = Parameters::read("n=1,%202&x=9&n=3");
        assert_eq!(parameters.list("n", "numbers", number), [1, 2, 3]);
        assert_eq!(parameters.one("x", "a number", number), Some(9));
        assert_eq!(parameters.one("y", "a number", number), None);
        assert_eq!(parameters.finish(), Ok(()));
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut parameters = Parameters::read("n=1,,2&x=1&x=2&y=z&a%20b=1&=");
        parameters.list("n", "numbers", number);
        parameters.one("x", "a number", number);
        parameters.one("y", "a number", number);
        let errors = parameters.finish().unwrap_err();
        let reported: Vec<_> = errors.iter().map(|error| (error.field.as_str(), error.detail.as_str())).collect();
        let unknown = "is not a parameter of this resource";
        assert_eq!(
            reported,
            [
                ("n", "must be numbers"),
                ("x", "must be given once"),
                ("y", "must be a number"),
                ("a b", unknown),
                ("", unknown)
            ]
        );
    }

    #[test]
    fn a_long_name_is_truncated() {
        let errors = Parameters::read(&"ž".repeat(1_000)).finish().unwrap_err();
        assert_eq!(errors[0].field, "ž".repeat(MAX_NAME));
    }

    #[test]
    fn a_list_of_too_many_values_is_refused() {
        let query = format!("n=1{}", ",1".repeat(MAX_VALUES));
        let mut parameters = Parameters::read(&query);
        assert!(parameters.list("n", "numbers", number).is_empty());
        assert_eq!(parameters.finish().unwrap_err()[0].field, "n");
    }

    #[test]
    fn the_next_path_keeps_all_but_the_one_parameter() {
        let path = path_with("/api/pets", "after=old&q=a%26b%20%C5%BE%2C%22&q=2&after=older", "after", "new=");
        assert_eq!(path, "/api/pets?q=a%26b+%C5%BE%2C%22&q=2&after=new%3D");
        assert_eq!(path_with("/x", "", "after", "1"), "/x?after=1");
    }
}
