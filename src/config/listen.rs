//! The settings of the listeners: `listen`, `tls`, `trusted_proxies`, `connection_age` and `drain`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::duration::duration_between;
use super::tls::{TlsFiles, tls_files};
use super::value::{flag, name, shown_text};
use super::walk::{Field, Section, Walk, join};
use super::yaml::{Node, Text, Value};

/// Longest path of a unix socket, bytes: `sun_path` has 108 on Linux, with a zero at the end.
const MAX_SOCKET_PATH_LEN: usize = 107;
/// Most listeners.
const MAX_LISTENERS: usize = 64;
/// Mode of a unix socket: only its owner connects.
const DEFAULT_MODE: u32 = 0o600;
/// Longest [`Drain::delay`] and [`Drain::at_most`].
const HOUR: Duration = Duration::from_secs(60 * 60);

const ADDRESS: &str = "ADDRESS:PORT such as 127.0.0.1:4000 or [::1]:4000, unix:PATH, or systemd";

/// One entry of `listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// Where connections are accepted.
    pub address: ListenAddress,
    /// The certificate of a listener that speaks TLS; none: plain text. Unless the entry has its own, that of the
    /// top-level `tls`, which covers every TCP listener and no unix socket.
    pub tls: Option<TlsFiles>,
    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2. Default false.
    pub proxy_protocol: bool,
    /// Mode of the unix socket. Default 600.
    pub mode: u32,
    /// `USER`, `USER:GROUP` or `:GROUP`, by name or number, that gets the unix socket. Default: those of the process.
    pub owner: Option<String>,
}

/// Where a listener accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port; port 0 is any free one.
    Tcp(SocketAddr),
    /// A unix stream socket, made at this path.
    Unix(PathBuf),
    /// Sockets that systemd passes to the process (`LISTEN_FDS`): those of one `FileDescriptorName`, or all.
    Systemd(Option<String>),
}

impl ListenConfig {
    /// Plain text at `address`, with all defaults.
    #[must_use]
    pub const fn new(address: ListenAddress) -> Self {
        Self { address, tls: None, proxy_protocol: false, mode: DEFAULT_MODE, owner: None }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(None) => f.write_str("systemd"),
            Self::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

impl ListenAddress {
    /// Whether only this machine can connect to it. Not known of sockets from systemd before they are there.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) | Self::Systemd(_) => true,
        }
    }

    /// Whether two listeners can't have both addresses.
    fn clashes_with(&self, other: &Self) -> bool {
        !matches!(self, Self::Tcp(address) if address.port() == 0) && self == other
    }
}

/// How the server leaves at a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long connections are still accepted although the server is not ready any more, so that load balancers stop
    /// sending to it first. Default 0 s, 0 s to 1 h.
    pub delay: Duration,
    /// Longest time for running requests after that; those left then end with an error frame. Default 25 s, within
    /// Kubernetes' default grace period of 30 s; 0 s to 1 h.
    pub at_most: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::ZERO, at_most: Duration::from_secs(25) }
    }
}

impl ListenConfig {
    /// What is listened on unless that is set, with the certificate of the top-level `tls`.
    pub(super) fn default_with(tls: Option<&TlsFiles>) -> Vec<Self> {
        vec![with_tls(Self::new(ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 4000)))), tls)]
    }
}

/// Reads `listen`, none if it is not set, and the top-level `tls`.
pub(super) fn listeners(walk: &mut Walk, root: &mut Section) -> (Option<Vec<ListenConfig>>, Option<TlsFiles>) {
    let field = walk.take(root, "tls");
    let tls = field.and_then(|field| tls_files(walk, field));
    let Some(field) = walk.take(root, "listen") else { return (None, tls) };
    let Field { path, node } = field;
    let fields = match node.value {
        Value::List(nodes) if nodes.is_empty() => {
            walk.error(&path, node.line, format!("the list is empty; expected {ADDRESS}"));
            Vec::new()
        }
        Value::List(nodes) if nodes.len() > MAX_LISTENERS => {
            walk.error(&path, node.line, format!("more than {MAX_LISTENERS} listeners"));
            Vec::new()
        }
        Value::List(nodes) => nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| Field { path: format!("{path}[{index}]"), node })
            .collect(),
        value => vec![Field { path, node: Node { value, line: node.line } }],
    };
    let mut listeners: Vec<ListenConfig> = Vec::new();
    for field in fields {
        let (path, line) = (field.path.clone(), field.node.line);
        let Some(listener) = listener(walk, field, tls.as_ref()) else { continue };
        if listeners.iter().any(|other| other.address.clashes_with(&listener.address)) {
            walk.error(&path, line, "the address is listed twice; keep one");
        }
        listeners.push(listener);
    }
    ((!listeners.is_empty()).then_some(listeners), tls)
}

fn listener(walk: &mut Walk, field: Field, tls: Option<&TlsFiles>) -> Option<ListenConfig> {
    if !matches!(field.node.value, Value::Map(_)) {
        let address = walk.check(&field, address)?;
        let address = beside_the_file(walk, address);
        return Some(with_tls(ListenConfig::new(address), tls));
    }
    let (path, line) = (field.path.clone(), field.node.line);
    let mut section = walk.section(&path, Some(field));
    let address = walk.require(&mut section, "address", address);
    let own_tls = walk.take(&mut section, "tls");
    let proxy_protocol = walk.read(&mut section, "proxy_protocol", flag).unwrap_or(false);
    let mode = walk.read(&mut section, "mode", mode);
    let owner = walk.read(&mut section, "owner", owner);
    walk.finish(section);
    let address = beside_the_file(walk, address?);
    let is_unix = matches!(address, ListenAddress::Unix(_));
    for (key, is_set) in [("mode", mode.is_some()), ("owner", owner.is_some())] {
        if is_set && !is_unix {
            walk.error(&join(&path, key), line, "only a unix socket has it; remove it");
        }
    }
    let listener =
        ListenConfig { proxy_protocol, mode: mode.unwrap_or(DEFAULT_MODE), owner, ..ListenConfig::new(address) };
    let Some(field) = own_tls else { return Some(with_tls(listener, tls)) };
    if is_unix {
        walk.error(&field.path, field.node.line, "a unix socket speaks no TLS; remove it");
        return Some(listener);
    }
    let own = match field.node.value {
        Value::Bool(false) => None,
        Value::Bool(true) if tls.is_none() => {
            walk.error(
                &field.path,
                field.node.line,
                "there is no top-level tls with a certificate; write cert and key",
            );
            None
        }
        Value::Bool(true) => tls.cloned(),
        _ => tls_files(walk, field),
    };
    Some(ListenConfig { tls: own, ..listener })
}

/// The listener with the certificate of the top-level `tls`, if that covers it.
fn with_tls(listener: ListenConfig, tls: Option<&TlsFiles>) -> ListenConfig {
    let is_covered = !matches!(listener.address, ListenAddress::Unix(_));
    ListenConfig { tls: tls.filter(|_| is_covered).cloned(), ..listener }
}

/// A relative path of the file is relative to the file's folder.
fn beside_the_file(walk: &Walk, address: ListenAddress) -> ListenAddress {
    match address {
        ListenAddress::Unix(path) => ListenAddress::Unix(walk.in_folder(path)),
        other => other,
    }
}

/// Parses the addresses of a flag or variable, separated by commas. The top-level `tls` covers the TCP ones.
pub(super) fn addresses(tls: Option<&TlsFiles>) -> impl Fn(&Value) -> Result<Vec<ListenConfig>, String> {
    move |value| {
        let mut listeners: Vec<ListenConfig> = Vec::new();
        for part in value.as_text().unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let address = address(&Value::Text(Text { text: part.to_owned(), written: None }))?;
            if listeners.iter().any(|other| other.address.clashes_with(&address)) {
                return Err(format!("each address once, and not {} twice", shown_text(part)));
            }
            listeners.push(with_tls(ListenConfig::new(address), tls));
        }
        if listeners.is_empty() || listeners.len() > MAX_LISTENERS { Err(ADDRESS.to_owned()) } else { Ok(listeners) }
    }
}

fn address(value: &Value) -> Result<ListenAddress, String> {
    let text = value.as_text().ok_or(ADDRESS)?;
    if let Some(path) = text.strip_prefix("unix:") {
        let fits = (1..=MAX_SOCKET_PATH_LEN).contains(&path.len()) && !path.contains('\0');
        return fits
            .then(|| ListenAddress::Unix(path.into()))
            .ok_or_else(|| format!("unix:PATH with a path of 1 to {MAX_SOCKET_PATH_LEN} bytes"));
    }
    match text.strip_prefix("systemd") {
        Some("") => Ok(ListenAddress::Systemd(None)),
        Some(name) if name.len() > 1 && name.starts_with(':') => Ok(ListenAddress::Systemd(Some(name[1..].to_owned()))),
        _ => text.parse().map(ListenAddress::Tcp).map_err(|_| ADDRESS.to_owned()),
    }
}

/// Parses the mode of a file, in octal digits. YAML reads `660` as a number, and so is it meant.
fn mode(value: &Value) -> Result<u32, String> {
    let digits = match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(Text { text, .. }) => text.trim().trim_start_matches("0o").to_owned(),
        _ => String::new(),
    };
    let mode = u32::from_str_radix(&digits, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "a mode in octal digits such as 660".to_owned())
}

fn owner(value: &Value) -> Result<String, String> {
    if let Value::Integer(number) = value {
        return Ok(number.to_string());
    }
    name(256)(value).map_err(|_| "USER, USER:GROUP or :GROUP".to_owned())
}

/// Reads `drain`: a duration, or `delay` and `for`.
pub(super) fn drain(walk: &mut Walk, root: &mut Section) -> Drain {
    let default = Drain::default();
    let Some(field) = walk.take(root, "drain") else { return default };
    if !matches!(field.node.value, Value::Map(_)) {
        let at_most = walk.check(&field, duration_between(Duration::ZERO, HOUR));
        return Drain { at_most: at_most.unwrap_or(default.at_most), ..default };
    }
    let mut section = walk.section("drain", Some(field));
    let delay = walk.read(&mut section, "delay", duration_between(Duration::ZERO, HOUR));
    let at_most = walk.read(&mut section, "for", duration_between(Duration::ZERO, HOUR));
    walk.finish(section);
    Drain { delay: delay.unwrap_or(default.delay), at_most: at_most.unwrap_or(default.at_most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(Text { text: text.to_owned(), written: None })
    }

    #[test]
    fn addresses_are_tcp_unix_or_from_systemd() {
        for (written, shown) in [
            ("127.0.0.1:4000", "127.0.0.1:4000"),
            ("[::1]:4000", "[::1]:4000"),
            ("unix:/run/p.sock", "unix:/run/p.sock"),
            ("systemd", "systemd"),
            ("systemd:api", "systemd:api"),
        ] {
            assert_eq!(address(&text(written)).unwrap().to_string(), shown);
        }
        for wrong in ["4000", "localhost:4000", "unix:", "systemd:", "systemdx", "", "tcp:127.0.0.1:1"] {
            assert!(address(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(address(&text(&format!("unix:/{}", "x".repeat(107)))).is_err());
    }

    #[test]
    fn a_flag_may_have_several_addresses() {
        let read = |list: &str| addresses(None)(&text(list));
        assert_eq!(read("127.0.0.1:0, 127.0.0.1:0,unix:p.sock").unwrap().len(), 3);
        for wrong in ["", ",", "127.0.0.1:1,127.0.0.1:1", "127.0.0.1:1,x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode(&Value::Integer(660)), Ok(0o660));
        assert_eq!(mode(&text("0o666")), Ok(0o666));
        assert_eq!(mode(&text("0600")), Ok(0o600));
        for wrong in [Value::Integer(888), Value::Integer(-1), Value::Integer(1777), text("rw"), Value::Bool(true)] {
            assert!(mode(&wrong).is_err());
        }
    }
}
