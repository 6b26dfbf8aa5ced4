//! The header of the PROXY protocol, versions 1 and 2, with which a load balancer passes on the address of a client.
//!
//! Specification: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};

use crate::app::client_stream::ClientStream;

/// Longest header, bytes: version 1 has at most 107, version 2 usually less than 536, and more with extensions.
const MAX_HEADER_LEN: usize = 4 * 1024;
/// What a header begins with, in version 1 and 2.
const SIGNATURES: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// Reads the header at the beginning of a connection, and nothing behind it. Returns the address of the client; none:
/// the balancer has connected for itself, or does not know.
///
/// # Errors
/// `InvalidData` for what is no header or is too long, `UnexpectedEof` at the end of the stream, those of the socket.
pub(in crate::app) async fn read_header(stream: &mut ClientStream) -> Result<Option<SocketAddr>> {
    let mut buffer = [0; MAX_HEADER_LEN];
    let mut known = 0;
    loop {
        // Bytes stay in the socket until the length of the header is known.
        let count = stream.peek_more_than(known, &mut buffer).await?;
        if count <= known {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        known = count;
        if let Some((client, length)) = parse(&buffer[..count])? {
            stream.discard(&mut buffer[..length])?;
            return Ok(client);
        }
        if count == buffer.len() {
            return Err(Error::new(ErrorKind::InvalidData, "a PROXY header of more than 4 KiB"));
        }
    }
}

/// The client's address and the length of the header; none: more bytes are needed.
fn parse(bytes: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>> {
    let begins = |signature: &&[u8]| bytes.iter().zip(*signature).all(|(one, other)| one == other);
    if !SIGNATURES.iter().any(begins) {
        return Err(Error::new(ErrorKind::InvalidData, "no PROXY header"));
    }
    match ProxyHeader::parse(bytes, ParseConfig { include_tlvs: false, ..ParseConfig::default() }) {
        Ok((header, length)) => Ok(Some((header.proxied_address().map(|address| address.source), length))),
        Err(proxy_header::Error::BufferTooShort) => Ok(None),
        Err(_) => Err(Error::new(ErrorKind::InvalidData, "an invalid PROXY header")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed_in_any_split_and_other_bytes_are_refused_at_once() {
        let client: SocketAddr = "203.0.113.7:4711".parse().unwrap();
        let address = proxy_header::ProxiedAddress::stream(client, "10.0.0.1:443".parse().unwrap());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        ProxyHeader::with_address(address.clone()).encode_v1(&mut first).unwrap();
        ProxyHeader::with_address(address).encode_v2(&mut second).unwrap();
        for header in [first, second] {
            let whole = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            for end in 1..whole.len() {
                let expected = (end >= header.len()).then_some((Some(client), header.len()));
                assert_eq!(parse(&whole[..end]).unwrap(), expected, "{end} bytes");
            }
        }
        assert_eq!(parse(b"PROXY UNKNOWN\r\nGET").unwrap(), Some((None, 15)));
        let mut local = Vec::new();
        ProxyHeader::with_local().encode_v2(&mut local).unwrap();
        assert_eq!(parse(&local).unwrap(), Some((None, local.len())));
        for wrong in ["G", "GET / HTTP/1.1\r\n", "PROXX", "PROXY TCP4 x y 1 2\r\n", "\r\n\r\n\0\r\nQUIX"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
