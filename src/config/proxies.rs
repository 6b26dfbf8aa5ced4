//! The variables of outbound proxies, which have no effect: a warning where they would apply to an upstream.

use std::net::IpAddr;

use url::Host;

use super::base_url::BaseUrl;
use super::environment::{Environment, variable};

/// The variables of a proxy for `https` and for `http`; the first one that is set counts.
const FOR_HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const FOR_HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The name of the variable that other programs would reach `url` by. They exclude loopback addresses, unix sockets,
/// and the hosts of `NO_PROXY`.
pub(super) fn proxy_variable(url: &BaseUrl, environment: &Environment) -> Option<&'static str> {
    if url.socket().is_some() || url.is_loopback() {
        return None;
    }
    let names = if url.url().scheme() == "https" { FOR_HTTPS } else { FOR_HTTP };
    let name = names.into_iter().find(|name| variable(environment, name).is_some())?;
    let exceptions = EXCEPTIONS.iter().find_map(|name| variable(environment, name)).unwrap_or_default();
    let host = url.url().host()?;
    (!exceptions.split([',', ' ']).any(|exception| is_excepted(&host, exception.trim()))).then_some(name)
}

/// Whether `exception` is `*`, the host, a domain above it, its address, or a network with its address.
fn is_excepted(host: &Host<&str>, exception: &str) -> bool {
    let ip = match host {
        Host::Ipv4(ip) => IpAddr::V4(*ip),
        Host::Ipv6(ip) => IpAddr::V6(*ip),
        Host::Domain(name) => {
            // Every host of example.com, with or without a leading dot or an asterisk. Ports do not matter here.
            let domain = exception.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let domain = domain.trim_start_matches('*').trim_start_matches('.');
            let above = name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            return exception == "*" || (!domain.is_empty() && above);
        }
    };
    match exception.split_once('/') {
        Some((network, bits)) => {
            let network = network.parse().ok().zip(bits.parse().ok());
            network.is_some_and(|(network, bits)| is_within(ip, network, bits))
        }
        None => exception == "*" || exception.trim_matches(['[', ']']).parse() == Ok(ip),
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (ip, network, width) = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => (ip.to_bits().into(), network.to_bits().into(), 32),
        (IpAddr::V6(ip), IpAddr::V6(network)) => (ip.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = ip ^ network;
    bits <= width && differing.checked_shr(width - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applies(url: &str, variables: &[(&str, &str)]) -> Option<&'static str> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        proxy_variable(&url.parse().unwrap(), &environment)
    }

    #[test]
    fn a_proxy_applies_to_its_scheme_unless_the_host_is_excepted() {
        let proxy = ("HTTPS_PROXY", "http://user:verysecret@proxy:3128");
        assert_eq!(applies("https://api.openai.com/v1", &[proxy]), Some("HTTPS_PROXY"));
        assert_eq!(applies("https://api.openai.com/v1", &[("all_proxy", "x")]), Some("all_proxy"));
        assert_eq!(applies("https://api.openai.com/v1", &[("HTTPS_PROXY", ""), ("HTTP_PROXY", "x")]), None);
        assert_eq!(applies("http://10.1.2.3/v1", &[proxy]), None);
        for local in ["https://localhost/v1", "https://127.0.0.2/v1", "unix:/s"] {
            assert_eq!(applies(local, &[proxy, ("ALL_PROXY", "x")]), None, "{local}");
        }
        for (url, exceptions, expected) in [
            ("https://api.openai.com", "*", None),
            ("https://api.openai.com", "a.b, openai.com", None),
            ("https://api.openai.com", ".OpenAI.com:443", None),
            ("https://api.openai.com", "penai.com,,api.openai.co", Some("HTTPS_PROXY")),
            ("https://10.1.2.3", "10.0.0.0/8", None),
            ("https://10.1.2.3", "10.1.2.3", None),
            ("https://10.1.2.3", "0.0.0.0/0", None),
            ("https://10.1.2.3", "11.0.0.0/8,10.1.2.3/33,::/0", Some("HTTPS_PROXY")),
            ("https://[fd00::1]", "fd00::/8", None),
            ("https://[fd00::1]", "[fd00::1]", None),
        ] {
            assert_eq!(applies(url, &[proxy, ("no_proxy", exceptions)]), expected, "{url}, {exceptions}");
        }
    }
}
