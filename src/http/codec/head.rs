//! Rules for the heads of requests and responses: their size, the headers that frame the body, and the persistence of
//! the connection (RFC 9112, sections 5, 6 and 9).

use httparse::Status;

/// Why a head can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// It is not HTTP/1.1, or its framing is ambiguous.
    Malformed,
    /// It has too many bytes, or too many headers.
    TooLarge,
    /// Its version is neither HTTP/1.0 nor HTTP/1.1.
    UnsupportedVersion,
}

/// The length of a head of at most `max` bytes, as httparse found it among the `received` bytes. None while it is
/// incomplete.
pub(crate) const fn head_length(
    parsed: httparse::Result<usize>,
    received: usize,
    max: usize,
) -> Result<Option<usize>, HeadError> {
    match parsed {
        Ok(Status::Complete(length)) if length <= max => Ok(Some(length)),
        Ok(Status::Partial) if received <= max => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooLarge),
        Err(httparse::Error::Version) => Err(HeadError::UnsupportedVersion),
        Err(_) => Err(HeadError::Malformed),
    }
}

/// The values of `Content-Length`, `Transfer-Encoding` and `Connection`.
#[derive(Debug, Default)]
pub(crate) struct FramingHeaders {
    pub(crate) content_length: Option<u64>,
    pub(crate) transfer_coding: Option<TransferCoding>,
    close: bool,
    keep_alive: bool,
}

/// The transfer codings of a message: those of all its `Transfer-Encoding` lines, as one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferCoding {
    /// `chunked`, and no other.
    Chunked,
    /// Other codings, then `chunked`.
    EncodedChunked,
    /// `chunked` more than once in a row, which no sender may do.
    RepeatedChunked,
    /// The last one is not `chunked`: only the end of the connection ends the body.
    NotChunked,
}

impl FramingHeaders {
    /// Reads one header. `value` has no white space around it.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] where a `Content-Length` is not a number, or is not the same as another one.
    pub(crate) fn read(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // The lengths rule out nearly all headers without a comparison.
        match name.len() {
            10 if is("connection") => {
                self.close |= has_token(value, "close");
                self.keep_alive |= has_token(value, "keep-alive");
            }
            14 if is("content-length") => {
                let length = decimal(value).ok_or(HeadError::Malformed)?;
                if self.content_length.replace(length).is_some_and(|other| other != length) {
                    return Err(HeadError::Malformed);
                }
            }
            17 if is("transfer-encoding") => {
                let codings = tokens(value).fold(self.transfer_coding, |codings, coding| {
                    Some(TransferCoding::with(codings, coding.eq_ignore_ascii_case(b"chunked")))
                });
                self.transfer_coding = codings;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the sender keeps the connection open behind the message (RFC 9112, section 9.3).
    pub(crate) const fn is_persistent(&self, is_http_11: bool) -> bool {
        !self.close && (is_http_11 || self.keep_alive)
    }
}

impl TransferCoding {
    /// These codings with another one behind them.
    const fn with(codings: Option<Self>, is_chunked: bool) -> Self {
        match codings {
            _ if !is_chunked => Self::NotChunked,
            None => Self::Chunked,
            Some(Self::NotChunked) => Self::EncodedChunked,
            Some(Self::Chunked | Self::EncodedChunked | Self::RepeatedChunked) => Self::RepeatedChunked,
        }
    }
}

/// The elements of a list, such as the value of `Connection`.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether a list has this element, in any case.
pub(crate) fn has_token(value: &[u8], token: &str) -> bool {
    tokens(value).any(|other| other.eq_ignore_ascii_case(token.as_bytes()))
}

/// A number of ASCII digits; none for an empty value, a sign or an overflow.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Appends a header line. Neither the name nor the value may have a line end in it.
pub(crate) fn write_header(out: &mut bytes::BytesMut, name: &str, value: &[u8]) {
    // Not in a loop: separators of a known length are stored, not copied.
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<FramingHeaders, HeadError> {
        let mut framing = FramingHeaders::default();
        for (name, value) in headers {
            framing.read(name, value.as_bytes())?;
        }
        Ok(framing)
    }

    #[test]
    fn a_content_length_is_a_number_and_there_is_only_one() {
        let length = |values: &[&str]| {
            let headers: Vec<_> = values.iter().map(|value| ("Content-LENGTH", *value)).collect();
            read(&headers).map(|framing| framing.content_length)
        };
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&["0"]), Ok(Some(0)));
        assert_eq!(length(&["007", "7"]), Ok(Some(7)));
        for bad in [&["1", "2"][..], &["1, 1"], &["-1"], &["+1"], &["x"], &[""], &["99999999999999999999"]] {
            assert_eq!(length(bad), Err(HeadError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn the_transfer_codings_of_all_lines_are_one_list() {
        for (values, expected) in [
            (&[][..], None),
            (&["Chunked"], Some(TransferCoding::Chunked)),
            (&["gzip , chunked"], Some(TransferCoding::EncodedChunked)),
            (&["gzip", "chunked"], Some(TransferCoding::EncodedChunked)),
            (&["chunked, chunked"], Some(TransferCoding::RepeatedChunked)),
            (&["chunked", "chunked"], Some(TransferCoding::RepeatedChunked)),
            (&["chunked, gzip"], Some(TransferCoding::NotChunked)),
            (&["chunked", "gzip"], Some(TransferCoding::NotChunked)),
            (&[""], Some(TransferCoding::NotChunked)),
        ] {
            let headers: Vec<_> = values.iter().map(|value| ("transfer-encoding", *value)).collect();
            assert_eq!(read(&headers).unwrap().transfer_coding, expected, "{values:?}");
        }
    }

    #[test]
    fn a_connection_persists_by_its_version_and_its_options() {
        let persists = |value: &str| {
            let framing = read(&[("connection", value)]).unwrap();
            (framing.is_persistent(true), framing.is_persistent(false))
        };
        assert_eq!(persists(""), (true, false));
        assert_eq!(persists("x, Keep-Alive"), (true, true));
        assert_eq!(persists("keep-alive, Close"), (false, false));
    }

    #[test]
    fn a_head_is_refused_when_it_is_or_will_be_too_large() {
        assert_eq!(head_length(Ok(Status::Complete(9)), 20, 9), Ok(Some(9)));
        assert_eq!(head_length(Ok(Status::Partial), 9, 9), Ok(None));
        assert_eq!(head_length(Ok(Status::Complete(10)), 20, 9), Err(HeadError::TooLarge));
        assert_eq!(head_length(Ok(Status::Partial), 10, 9), Err(HeadError::TooLarge));
        assert_eq!(head_length(Err(httparse::Error::TooManyHeaders), 5, 9), Err(HeadError::TooLarge));
    }
}
