//! `petstream healthcheck`: asks a server for `/readyz`. For probes of containers that have no shell and no curl.
//!
//! Exit code 0: it answers 200. Every other answer, none within two seconds, and a configuration that can't be read
//! are exit code 1 with one line on stderr, since a container engine knows healthy and unhealthy only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use petstream::config::{Sources, load};
use petstream::http::client::system_tls;
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
    listener(config.config.listen)
}

/// The address of a listener as seen on the same machine.
fn listener(listen: SocketAddr) -> Result<Address, Failure> {
    if listen.port() == 0 {
        return Err(fault("the configured port is 0, so that the server takes any: name its address with --url"));
    }
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Url::parse(&format!("http://{}", SocketAddr::new(ip, listen.port()))).map(Address::Url).map_err(fault)
}

async fn check(address: &Address) -> Result<(), Failure> {
    // Never through an HTTP proxy of the environment: the server is on this machine or named by its own address.
    let client = Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none());
    let (client, base) = match address {
        Address::Url(url) => (client, url.clone()),
        Address::Unix(path) => (client.unix_socket(path.as_path()), Url::parse("http://localhost").map_err(fault)?),
    };
    let client = client.tls_backend_preconfigured(system_tls().map_err(fault)?.as_ref().clone());
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
            let address = listener(listen.parse().unwrap());
            assert_eq!(address.ok(), Some(Address::Url(Url::parse(url).unwrap())), "{listen}");
        }
        assert!(listener("0.0.0.0:0".parse().unwrap()).is_err());
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
