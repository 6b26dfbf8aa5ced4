//! The UTF-8 byte-order mark that some clients (PowerShell, .NET) send before JSON.
//!
//! A sender must not add one and a parser may ignore it (RFC 8259, section 8.1). It is removed and never forwarded,
//! since an upstream may reject it.

use bytes::{Buf, Bytes};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes one mark at the beginning of `body`, without copying.
#[must_use]
pub fn without_mark(mut body: Bytes) -> Bytes {
    if body.starts_with(MARK) {
        body.advance(MARK.len());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_mark_at_the_beginning_is_removed() {
        for (body, expected) in [
            ("\u{feff}{}", "{}"),
            ("{}", "{}"),
            ("", ""),
            ("\u{feff}", ""),
            ("\u{feff}\u{feff}{}", "\u{feff}{}"),
            (" \u{feff}{}", " \u{feff}{}"),
        ] {
            assert_eq!(without_mark(Bytes::copy_from_slice(body.as_bytes())), expected.as_bytes());
        }
        assert_eq!(without_mark(Bytes::from_static(b"\xef\xbb")), &b"\xef\xbb"[..]);
    }
}
