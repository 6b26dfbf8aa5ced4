//! The setting `trusted_proxies`: whose word about a client's address is believed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::walk::{Section, Walk};
use super::yaml::Value;

/// Most entries.
const MAX_NETWORKS: usize = 1_024;

/// Proxies whose `Forwarded` and `X-Forwarded-For` are believed: for the log and for the throttle of failed keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// Peers that connect through a unix socket.
    unix: bool,
}

impl TrustedProxies {
    /// Trusts these networks, and peers on unix sockets if `unix`.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>, unix: bool) -> Self {
        Self { networks, unix }
    }

    /// Whether nobody is trusted, so that no header needs to be read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer is trusted; none: one on a unix socket.
    #[must_use]
    pub fn contains(&self, peer: Option<IpAddr>) -> bool {
        let Some(address) = peer.map(|peer| peer.to_canonical()) else { return self.unix };
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Reads `trusted_proxies`.
pub(super) fn trusted_proxies(walk: &mut Walk, root: &mut Section) -> TrustedProxies {
    let mut proxies = TrustedProxies::default();
    let fields = walk.list(root, "trusted_proxies", "").unwrap_or_default();
    if let Some(field) = fields.get(MAX_NETWORKS) {
        walk.error("trusted_proxies", field.node.line, format!("more than {MAX_NETWORKS} entries"));
    }
    for field in fields.iter().take(MAX_NETWORKS) {
        if field.node.value.as_text() == Some("unix") {
            proxies.unix = true;
        } else {
            proxies.networks.extend(walk.check(field, network));
        }
    }
    proxies
}

/// Parses an address or a network.
fn network(value: &Value) -> Result<IpNet, String> {
    let text = value.as_text().unwrap_or_default();
    let address = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    let network = text.parse::<IpNet>().ok().or_else(address);
    network.ok_or_else(|| "an address such as 10.0.0.1, a network such as 10.0.0.0/8, or unix".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::Text;

    #[test]
    fn addresses_and_networks_are_matched_in_either_form() {
        let read = |text: &str| network(&Value::Text(Text { text: text.to_owned(), written: None }));
        let proxies = TrustedProxies::new(vec![read("10.0.0.0/8").unwrap(), read("::1").unwrap()], false);
        let trusts = |text: &str| proxies.contains(Some(text.parse().unwrap()));
        assert!(trusts("10.1.2.3") && trusts("::ffff:10.1.2.3") && trusts("::1"));
        assert!(!trusts("11.0.0.1") && !trusts("::2") && !proxies.contains(None));
        assert!(TrustedProxies::new(Vec::new(), true).contains(None));
        for wrong in ["10.0.0.0/33", "localhost", "", "10.0.0"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
