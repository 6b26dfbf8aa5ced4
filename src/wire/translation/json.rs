//! Writes JSON whose values are mostly slices of other JSON.

/// The empty string as JSON.
pub(in crate::wire) const EMPTY: &str = "\"\"";

/// The text between the quotes of a JSON string, with its escapes. Empty for a value of another type.
pub(in crate::wire) fn inside(string: &str) -> &str {
    string.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// A text as a JSON string.
pub(in crate::wire) fn quoted_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An object that is written member by member.
#[derive(Debug)]
pub(in crate::wire) struct Object(String);

impl Object {
    pub(in crate::wire) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds a member; `value` is JSON, `key` needs no escapes.
    pub(in crate::wire) fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        for part in ["\"", key, "\":", value] {
            self.0.push_str(part);
        }
        self
    }

    /// As [`Object::raw`], if there is a value.
    pub(in crate::wire) fn raw_if(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.raw(key, value);
        }
        self
    }

    /// Adds a string.
    pub(in crate::wire) fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.raw(key, &quoted_json(text))
    }

    pub(in crate::wire) fn finish(&mut self) -> String {
        self.0.push('}');
        std::mem::take(&mut self.0)
    }
}

/// An array that is written element by element.
#[derive(Debug, Default)]
pub(in crate::wire) struct Array(String);

impl Array {
    /// Adds an element, which is JSON.
    pub(in crate::wire) fn push(&mut self, value: &str) {
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        self.0.push_str(value);
    }

    pub(in crate::wire) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::wire) fn finish(mut self) -> String {
        if self.is_empty() {
            self.0.push('[');
        }
        self.0.push(']');
        self.0
    }
}

/// A JSON string that is joined from others without decoding them.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct JoinedText(String);

impl JoinedText {
    /// Appends a JSON string.
    pub(in crate::wire) fn push(&mut self, string: &str) {
        self.0.push_str(inside(string));
    }

    /// Appends the inside of a JSON string.
    pub(in crate::wire) fn push_inside(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Appends a JSON string, on a line of its own.
    pub(in crate::wire) fn push_line(&mut self, string: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\\n");
        }
        self.push(string);
    }

    pub(in crate::wire) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::wire) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The inside of the joined string.
    pub(in crate::wire) fn as_inside(&self) -> &str {
        &self.0
    }

    pub(in crate::wire) fn to_json(&self) -> String {
        ["\"", &self.0, "\""].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::decode_string;

    #[test]
    fn objects_and_arrays_are_separated_by_commas() {
        let mut array = Array::default();
        array.push(&Object::new().finish());
        array.push(&Object::new().raw("a", "1").raw_if("b", None).text("c", "\"\n").finish());
        assert_eq!(array.finish(), r#"[{},{"a":1,"c":"\"\n"}]"#);
        assert_eq!(Array::default().finish(), "[]");
    }

    fn decoded(text: &JoinedText) -> Option<String> {
        decode_string(&text.to_json()).map(std::borrow::Cow::into_owned)
    }

    #[test]
    fn surrogates_that_were_separated_are_joined() {
        let mut text = JoinedText::default();
        text.push(r#""a\ud83d""#);
        assert_eq!(decoded(&text), None);
        text.push(r#""\ude00""#);
        text.push_line("\"b\"");
        assert_eq!(decoded(&text).as_deref(), Some("a😀\nb"));
    }
}
