//! Fields of an answer that nobody looks for between whoever adds them and the client, written as they go over the wire.
//!
//! A map has to hash each name, and to keep each value in memory of its own, only to be written out in a moment: some four
//! hundred instructions a field. What is here replaces nothing: a field that is in the map too goes out twice.

use http::Response;

/// Fields among an answer's extensions, which go out behind those of its map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(String);

/// Room for those of an answer, bytes.
const ROOM: usize = 384;

impl Fields {
    /// Those of `response`.
    pub fn of<B>(response: &mut Response<B>) -> &mut Self {
        response.extensions_mut().get_or_insert_with(|| Self(String::with_capacity(ROOM)))
    }

    /// Adds a field, whose value `write` appends. It is left out if that is not of visible ASCII and blanks: what can't stand in
    /// a field would break out of it.
    pub fn push(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        let before = self.0.len();
        self.0.push_str(name);
        self.0.push_str(": ");
        let value = self.0.len();
        write(&mut self.0);
        // Without a branch for each byte.
        if self.0.as_bytes()[value..].iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')) {
            self.0.push_str("\r\n");
        } else {
            self.0.truncate(before);
        }
    }

    /// As they go over the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_out_of_a_field_is_left_out() {
        let mut response = Response::new(());
        Fields::of(&mut response).push("x-a", |value| value.push_str("1h 0m0s"));
        for bad in ["a\r\nx-b: c", "a\tb", "\u{e9}", "\0", "\x7f"] {
            Fields::of(&mut response).push("x-bad", |value| value.push_str(bad));
        }
        Fields::of(&mut response).push("x-c", |_| ());
        assert_eq!(Fields::of(&mut response).as_bytes(), b"x-a: 1h 0m0s\r\nx-c: \r\n");
    }
}
