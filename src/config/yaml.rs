//! Parses YAML into a tree with line numbers and repeated keys, so that all errors can be reported at once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, MessageFormatter, NonFiniteFloatPolicy, Spanned, UserMessageFormatter};

/// A value and the line on which it begins. Without `Debug`, since it may contain secrets.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) line: u64,
}

/// A value of the file.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Its error has been reported; further checks are skipped.
    Invalid,
}

/// A text; `written` is its form in the file if variables were replaced in it.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) written: Option<String>,
}

/// A key of a mapping and its value. Repeated keys are all kept.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u64,
    pub(super) node: Node,
}

/// Why the text is not YAML.
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) line: Option<u64>,
}

/// Parses one YAML document. An empty one is [`Value::Null`].
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        // A snippet would show the lines around the error, which may contain secrets.
        with_snippet: false,
    };
    let node: Option<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax(&error))?;
    Ok(node.unwrap_or(Node { value: Value::Null, line: 1 }))
}

fn syntax(error: &Error) -> SyntaxError {
    let message = without_quotations(&UserMessageFormatter.format_message(error));
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    SyntaxError { message, line }
}

/// Removes the quotations of more than three characters from `message`: they may repeat secrets of the file.
fn without_quotations(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(['`', '\'', '"']) {
        let quote = &rest[start..=start];
        let after = &rest[start + 1..];
        let Some(end) = after.find(quote) else { break };
        kept.push_str(&rest[..start]);
        let quoted = if end > 3 { "…" } else { &after[..end] };
        kept.extend([quote, quoted, quote]);
        rest = &after[end + 1..];
    }
    kept.push_str(rest);
    kept
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, line: spanned.referenced.line() })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        // Saturated: every setting's range is far smaller.
        Ok(Value::Integer(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Text { text: text.to_owned(), written: None }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = sequence.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = mapping.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry { key: key.value, line: key.referenced.line(), node });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Vec<Entry> {
        match parse(text).map_err(|error| error.message).unwrap().value {
            Value::Map(entries) => entries,
            _ => panic!("no mapping"),
        }
    }

    #[test]
    fn lines_and_repeated_keys_are_kept() {
        let entries = map("# a comment\na: 1\nb:\n  - x\na: 2\n");
        let seen: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.line)).collect();
        assert_eq!(seen, [("a", 2), ("b", 3), ("a", 5)]);
    }

    #[test]
    fn aliases_and_merges_work() {
        let entries = map("a: &t {idle: 1s}\nb:\n  <<: *t\n  total: 2s\n");
        let Value::Map(merged) = &entries[1].node.value else { panic!("no mapping") };
        assert_eq!(merged.len(), 2);
    }

    #[test]
    fn any_number_of_comments_in_a_row_is_accepted() {
        let text = format!("a:\n  b: 1\n{}  c: 2\n", "  # A line of an example.\n".repeat(1000));
        let Value::Map(entries) = parse(&text).map_err(|error| error.message).unwrap().value else { panic!() };
        let Value::Map(entries) = &entries[0].node.value else { panic!() };
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn an_empty_file_is_null() {
        for text in ["", "\n\n", "# only a comment\n", "---\n"] {
            assert!(matches!(parse(text).map_err(|error| error.message).unwrap().value, Value::Null), "{text:?}");
        }
    }

    #[test]
    fn a_syntax_error_has_a_line_and_quotes_nothing_of_the_file() {
        let files = [
            "key: sk-verysecret: x\n",
            "a: 1\nkey: \"sk-verysecret\n",
            "key: *sk-verysecret\n",
            "key: !sk-verysecret x\n",
            "key: !!int sk-verysecret\n",
            "key: !!float sk-verysecret\n",
            "key: !!bool sk-verysecret\n",
            "key: [sk-verysecret\n",
            "key: 'a' sk-verysecret\n",
            "key: \"\\qsk-verysecret\"\n",
            "{sk-verysecret: 1, [sk-verysecret]: 2}\n",
            "a: 1\n---\nsk-verysecret: 2\n",
        ];
        for file in files {
            let Err(error) = parse(file) else { panic!("{file} was accepted") };
            assert!(!error.message.contains("verysecret"), "{}", error.message);
            assert!(error.line.is_some(), "{file}: {}", error.message);
        }
    }
}
