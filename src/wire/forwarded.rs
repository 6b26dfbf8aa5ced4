//! The address of a client behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Most hops that are examined, from the last one on.
const MAX_HOPS: usize = 32;

/// The address of the client, by the headers that proxies have added: the last address that is not `trusted`. Addresses
/// to the left of it were written by someone who is not. None: there is no such header, or its end can't be read.
///
/// A proxy usually sets one of the two headers and passes the other one on as the client has sent it. So where both
/// are there and differ, neither is believed.
#[must_use]
pub fn client_address(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let standard = last_untrusted(headers, &FORWARDED, forwarded_for, &trusted);
    let usual = last_untrusted(headers, &X_FORWARDED_FOR, |element| address(element.trim()), &trusted);
    match (standard, usual) {
        (Some(one), Some(other)) => one.filter(|one| Some(*one) == other),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => None,
    }
}

/// The last address that is not trusted, or the first of all if every one is. The outer none: there is no such header.
fn last_untrusted(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&str) -> Option<IpAddr>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<Option<IpAddr>> {
    if !headers.contains_key(name) {
        return None;
    }
    let mut client = None;
    let lines = headers.get_all(name).iter().rev();
    let elements = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for element in elements.take(MAX_HOPS) {
        // Only what can't be read ends the search: an attacker may have begun the line.
        let Some(address) = std::str::from_utf8(element).ok().and_then(&parse) else { break };
        client = Some(address);
        if !trusted(address) {
            break;
        }
    }
    Some(client)
}

/// The address in an element of `Forwarded`: `for=192.0.2.1;proto=https`, `For="[2001:db8::1]:4711"`. None: an
/// obfuscated name or `unknown`. A quoted value with a comma or semicolon in it is never an address.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    address(unquoted.unwrap_or(value))
}

/// An address, in brackets or not, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(lines: &[(HeaderName, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        client_address(&headers, trusted).map(|address| address.to_string())
    }

    #[test]
    fn it_is_the_last_address_that_no_trusted_proxy_has() {
        let for_ = |value| client(&[(X_FORWARDED_FOR, value)]);
        assert_eq!(for_("203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(for_("1.1.1.1, 203.0.113.7, 10.0.0.2").as_deref(), Some("203.0.113.7"));
        assert_eq!(for_("10.0.0.3,10.0.0.2").as_deref(), Some("10.0.0.3"));
        assert_eq!(for_("[2001:db8::1]:80").as_deref(), Some("2001:db8::1"));
        assert_eq!(for_("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(for_("192.0.2.1:80").as_deref(), Some("192.0.2.1"));
        // Nothing to the left of what can't be read is believed.
        assert_eq!(for_("203.0.113.7, unknown"), None);
        assert_eq!(for_("203.0.113.7, unknown, 10.0.0.2").as_deref(), Some("10.0.0.2"));
        assert_eq!(client(&[(X_FORWARDED_FOR, "1.1.1.1"), (X_FORWARDED_FOR, "2.2.2.2")]).as_deref(), Some("2.2.2.2"));
        assert_eq!(client(&[]), None);
    }

    #[test]
    fn bytes_that_are_no_text_end_the_search_where_they_are() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(b"\xff, 203.0.113.7, 10.0.0.2").unwrap());
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        assert_eq!(client_address(&headers, trusted), Some("203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn the_standard_header_is_read_with_its_parameters() {
        let forwarded = |value| client(&[(FORWARDED, value)]);
        assert_eq!(forwarded("for=192.0.2.1;proto=https").as_deref(), Some("192.0.2.1"));
        assert_eq!(forwarded("proto=http; For=\"[2001:db8::1]:47\"").as_deref(), Some("2001:db8::1"));
        assert_eq!(forwarded("for=1.1.1.1, for=192.0.2.1, by=x;for=10.0.0.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(forwarded("for=_hidden"), None);
        assert_eq!(forwarded("by=192.0.2.1"), None);
    }

    #[test]
    fn headers_that_contradict_each_other_are_not_believed() {
        let both = |one, other| client(&[(FORWARDED, one), (X_FORWARDED_FOR, other)]);
        assert_eq!(both("for=192.0.2.1", "9.9.9.9, 192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(both("for=9.9.9.9", "192.0.2.1"), None);
        assert_eq!(both("for=_hidden", "192.0.2.1"), None);
    }
}
