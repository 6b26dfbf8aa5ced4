//! Recognises the end of a tool call's arguments, which arrive in parts.

use crate::wire::request::decode_string;

/// The state of one JSON object that arrives in parts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::wire) struct ArgumentsEnd {
    depth: u32,
    in_string: bool,
    escaped: bool,
    has_begun: bool,
}

impl ArgumentsEnd {
    /// Reads the next part, a JSON string. A part that can't be decoded alone is skipped: the halves of a pair of
    /// surrogates are only in strings.
    pub(in crate::wire) fn push(&mut self, part: &str) {
        for byte in decode_string(part).unwrap_or_default().bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.has_begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether the object is complete.
    pub(in crate::wire) const fn is_complete(self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_brace() {
        let text = r#"{"a":"}\"{","b":[{}]}"#;
        let mut end = ArgumentsEnd::default();
        for (at, byte) in text.char_indices() {
            assert!(!end.is_complete(), "{at}");
            end.push(&serde_json::to_string(&byte.to_string()).unwrap());
        }
        assert!(end.is_complete());
        assert!(!ArgumentsEnd::default().is_complete());
    }
}
