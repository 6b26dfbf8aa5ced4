//! `petstream healthcheck`: asks a server for `/readyz`. For probes of containers that have no shell and no curl.
//!
//! Exit code 0: it answers 200. Every other answer, none within two seconds, and a configuration that can't be read
//! are exit code 1 with one line on stderr, since a container engine knows healthy and unhealthy only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use petstream::config::{ClientAuth, Config, ListenAddress, ListenConfig, Sources, TlsFiles, load};
use petstream::http::client::{system_tls, unverified_tls};
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::failure::{Failure, fault};
use super::runtime::block_on;

/// Longest time for the whole check.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The prefix of an address that is the path of a socket.
const UNIX: &str = "unix:";
/// Most of a refusal that is read, bytes, and one piece.
const MAX_BODY: usize = 16 << 10;
/// Longest reason that is reported, characters.
const MAX_REASON: usize = 200;

#[derive(Args)]
pub(super) struct Command {
    /// http://HOST:PORT, or unix:PATH for a socket [default: the listener of the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Where a server listens.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    /// The base of its URLs.
    Url(Url),
    /// The same, of the server's own TLS listener on this machine: its certificate is for another name than the address
    /// and is not verified.
    OwnTls(Url),
    /// The path of its socket.
    Unix(PathBuf),
}

pub(super) fn run(command: &Command, sources: &Sources) -> Result<(), Failure> {
    let address = match &command.url {
        Some(url) => parse(url)?,
        None => configured(sources)?,
    };
    block_on(check(&address))
}

fn parse(text: &str) -> Result<Address, Failure> {
    match text.strip_prefix(UNIX) {
        Some("") => Err(Failure::Usage("--url unix: needs the path of a socket behind it".to_owned())),
        Some(path) => Ok(Address::Unix(path.into())),
        None => match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Address::Url(url)),
            // Not with the text itself, which may have a password.
            _ => Err(Failure::Usage("--url: expected http://HOST:PORT, https://HOST:PORT or unix:PATH".to_owned())),
        },
    }
}

/// The listener of the server that has the same configuration, environment and flags.
fn configured(sources: &Sources) -> Result<Address, Failure> {
    let config = load(sources).map_err(|errors| {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        fault(format!("the configuration has errors, so its listener is not known: {first}"))
    })?;
    listener(&config.config)
}

/// The address at which the server is asked: that of the metrics listener, or of the first listener that answers plain
/// requests, or of one that speaks TLS.
fn listener(config: &Config) -> Result<Address, Failure> {
    if let Some(metrics) = config.metrics_listen.filter(|metrics| metrics.port() != 0) {
        return Url::parse(&format!("http://{}", on_this_machine(metrics))).map(Address::Url).map_err(fault);
    }
    // A header of the PROXY protocol, or a certificate, is what the balancer has and this command has not.
    let is_open = |listener: &&ListenConfig| {
        let asks_certificate = |tls: &TlsFiles| tls.client_ca.is_some() && tls.client_auth == ClientAuth::Require;
        !listener.proxy_protocol && !listener.tls.as_ref().is_some_and(asks_certificate)
    };
    let mut open: Vec<_> = config.listen.iter().filter(is_open).collect();
    open.sort_by_key(|listener| listener.tls.is_some());
    let address = open.iter().find_map(|listener| match &listener.address {
        ListenAddress::Tcp(address) if address.port() != 0 => Some(url(*address, listener.tls.is_some())),
        ListenAddress::Unix(path) => Some(Ok(Address::Unix(path.clone()))),
        ListenAddress::Tcp(_) | ListenAddress::Systemd(_) => None,
    });
    let unknown = "no listener of the configuration can be asked (a port of 0, a socket from systemd, the PROXY protocol, \
                   or a certificate of the client): name an address with --url, or set metrics.listen";
    address.unwrap_or_else(|| Err(fault(unknown)))
}

fn url(address: SocketAddr, tls: bool) -> Result<Address, Failure> {
    let (scheme, kind): (_, fn(Url) -> Address) = if tls { ("https", Address::OwnTls) } else { ("http", Address::Url) };
    Url::parse(&format!("{scheme}://{}", on_this_machine(address))).map(kind).map_err(fault)
}

/// The address of a listener as seen on the same machine.
fn on_this_machine(listen: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn check(address: &Address) -> Result<(), Failure> {
    // Never through an HTTP proxy of the environment: the server is on this machine or named by its own address.
    let client = Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none());
    let (client, base) = match address {
        Address::Url(url) | Address::OwnTls(url) => (client, url.clone()),
        Address::Unix(path) => (client.unix_socket(path.as_path()), Url::parse("http://localhost").map_err(fault)?),
    };
    let tls = if matches!(address, Address::OwnTls(_)) { unverified_tls() } else { system_tls() };
    let client = client.tls_backend_preconfigured(tls.map_err(fault)?.as_ref().clone());
    let client = client.build().map_err(fault)?;
    let mut url = base;
    let path = format!("{}/readyz", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let mut response = client.get(url).send().await.map_err(|error| fault(describe(&error)))?;
    match response.status() {
        StatusCode::OK => Ok(()),
        status => {
            let mut body = Vec::new();
            // What is cut off or longer is no JSON, and has no reason.
            while body.len() < MAX_BODY
                && let Ok(Some(chunk)) = response.chunk().await
            {
                body.extend_from_slice(&chunk);
            }
            Err(fault(format!("not ready: {status}{}", reason(&body))))
        }
    }
}

/// The reason in the body of a refusal, behind a colon; nothing where it has none.
fn reason(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(reason) = value.get("reason").and_then(Value::as_str) else { return String::new() };
    format!(": {}", reason.chars().filter(|char| !char.is_control()).take(MAX_REASON).collect::<String>())
}

/// The last cause of an error; reqwest's own text only names the URL, which may contain a password.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer in {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("no answer: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        for (listen, url) in [
            ("127.0.0.1:4000", "http://127.0.0.1:4000/"),
            ("0.0.0.0:80", "http://127.0.0.1/"),
            ("[::]:4000", "http://[::1]:4000/"),
            ("10.1.2.3:4000", "http://10.1.2.3:4000/"),
        ] {
            let address = listener(&listening([tcp(listen)]));
            assert_eq!(address.ok(), Some(Address::Url(Url::parse(url).unwrap())), "{listen}");
        }
        assert!(listener(&listening([tcp("0.0.0.0:0")])).is_err());
    }

    #[test]
    fn a_listener_that_answers_plain_requests_is_preferred() {
        let balanced = ListenConfig { proxy_protocol: true, ..tcp("0.0.0.0:80") };
        assert!(listener(&listening([balanced.clone()])).is_err());
        let socket = ListenConfig::new(ListenAddress::Unix("/run/p.sock".into()));
        let config = listening([balanced, socket, tcp("127.0.0.1:1")]);
        assert_eq!(listener(&config).ok(), Some(Address::Unix("/run/p.sock".into())));
        let metrics = Some("0.0.0.0:9400".parse().unwrap());
        let address = listener(&Config { metrics_listen: metrics, ..config });
        assert_eq!(address.ok(), Some(Address::Url(Url::parse("http://127.0.0.1:9400").unwrap())));
    }

    fn tcp(address: &str) -> ListenConfig {
        ListenConfig::new(ListenAddress::Tcp(address.parse().unwrap()))
    }

    fn listening<const N: usize>(listen: [ListenConfig; N]) -> Config {
        Config { listen: listen.into(), ..Config::default() }
    }

    #[test]
    fn a_url_is_http_https_or_the_path_of_a_socket() {
        assert_eq!(parse("unix:/run/petstream.sock").ok(), Some(Address::Unix("/run/petstream.sock".into())));
        assert!(matches!(parse("http://127.0.0.1:4000"), Ok(Address::Url(_))));
        assert!(matches!(parse("https://pets.example/shop/"), Ok(Address::Url(_))));
        for wrong in ["", "unix:", "127.0.0.1:4000", "ftp://127.0.0.1", "localhost"] {
            assert!(matches!(parse(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn the_reason_is_one_short_line() {
        assert_eq!(reason(br#"{"status":"not ready","reason":"shutting\ndown"}"#), ": shuttingdown");
        assert_eq!(reason(b"<html>"), "");
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(reason(long.as_bytes()).len(), MAX_REASON + 2);
    }
}
